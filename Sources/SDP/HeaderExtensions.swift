/// An RTP header extension that a section maps to an id (RFC 8285 §6).
struct HeaderExtension {
    static let audioLevel = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
    static let mid = "urn:ietf:params:rtp-hdrext:sdes:mid"

    /// 1 … 255, not 15.
    var id: UInt8
    /// As written by the peer; nil stands for both ways.
    var direction: MediaDirection?
    var uri: String

    /// Reads the value of an `a=extmap:`; nil when it is malformed.
    init?(_ value: String) {
        let words = value.words
        guard words.count >= 2 else { return nil }
        let (number, direction) = words[0].halves(around: "/") ?? (words[0], "")
        guard let id = number.decimal(UInt8.self), id != 0, id != 15 else { return nil }
        if !direction.isEmpty {
            guard let direction = MediaDirection(rawValue: String(direction)) else { return nil }
            self.direction = direction
        }
        (self.id, uri) = (id, String(words[1]))
    }

    init(id: UInt8, uri: String) {
        (self.id, self.uri) = (id, uri)
    }

    /// The value of the `a=extmap:` that accepts it.
    var answer: String {
        "\(id)\(direction.map { "/\($0.reversed.rawValue)" } ?? "") \(uri)"
    }

    /// Those of `section` that we make use of, each under an id of its own.
    static func supported(in section: SessionDescription.Media, of session: SessionDescription) -> [HeaderExtension] {
        var extensions: [HeaderExtension] = []
        for attribute in section.attributes.all(named: "extmap") + session.attributes.all(named: "extmap") {
            guard let candidate = attribute.value.flatMap({ HeaderExtension($0) }),
                candidate.uri == audioLevel || candidate.uri == mid, candidate.direction != .inactive,
                !extensions.contains(where: { $0.id == candidate.id || $0.uri == candidate.uri })
            else { continue }
            extensions.append(candidate)
        }
        return extensions
    }
}
