/// A session description as it is written: lines, media sections and attributes, without judging them (RFC 8866).
package struct SessionDescription: Sendable {
    /// Bounds on what is parsed, so that a hostile description costs little.
    package static let maximumLength = 32 << 10
    package static let maximumLines = 500
    package static let maximumLineLength = 1 << 10
    package static let maximumMediaSections = 4
    package static let maximumFormats = 64

    /// A line that is neither `a=` nor `m=`.
    package struct Line: Sendable {
        /// The ASCII letter before the `=`.
        package var type: UInt8
        package var value: String
    }

    /// An `a=name` or `a=name:value` line.
    package struct Attribute: Sendable {
        package var name: String
        package var value: String?
        /// Where it stood in the text, from 1; 0 when it was made here.
        package var line = 0
    }

    /// An `m=` line and what follows it until the next one (RFC 8866 §5.14).
    package struct Media: Sendable {
        /// `audio`, `video`, `application`, …
        package var media: String
        package var port: UInt16
        /// `/<number of ports>`, not used in WebRTC.
        package var portCount: UInt16?
        package var proto: String
        package var formats: [String]
        /// What lies between the `m=` line and its attributes: `i=`, `c=`, `b=`, `k=`.
        package var lines: [Line] = []
        package var attributes: [Attribute] = []
        /// Where its `m=` line stood in the text, from 1; 0 when it was made here.
        package var line = 0
    }

    /// `v=`, `o=`, `s=`, `t=` and so on, in order.
    package var lines: [Line] = []
    /// Attributes before the first `m=` line.
    package var attributes: [Attribute] = []
    package var media: [Media] = []

    package init() {}
}

extension [SessionDescription.Attribute] {
    func first(named name: String) -> SessionDescription.Attribute? {
        first { $0.name == name }
    }

    func all(named name: String) -> [SessionDescription.Attribute] {
        filter { $0.name == name }
    }

    func contains(named name: String) -> Bool {
        contains { $0.name == name }
    }

    mutating func append(_ name: String, _ value: String? = nil) {
        append(SessionDescription.Attribute(name: name, value: value))
    }
}

extension SessionDescription.Media {
    /// Name of the section within the description (RFC 5888 §4).
    var mid: String? {
        attributes.first(named: "mid")?.value
    }

    /// Whether the other side does not want it: port 0, which in a bundled section may also mean "same port as the
    /// first one of the bundle" (RFC 9143 §6).
    var isRejected: Bool {
        port == 0 && !attributes.contains(named: "bundle-only")
    }
}

extension SessionDescription {
    /// The mids of the BUNDLE group that `mid` is in, first one (the tagged one) first (RFC 9143 §7).
    func bundle(containing mid: String?) -> [Substring]? {
        guard let mid else { return nil }
        // A mid is in one group only, so there are at most as many as sections.
        return attributes.lazy.filter { $0.name == "group" && $0.value?.hasPrefix("BUNDLE ") == true }
            .prefix(Self.maximumMediaSections).map { Array(($0.value ?? "").words.dropFirst()) }
            .first { $0.contains(mid[...]) }
    }
}

// MARK: - Serializer

extension SessionDescription: CustomStringConvertible {
    /// The text, with CRLF line ends; of a parsed description in the order of RFC 8866 §5: the same text again.
    package var description: String {
        var text = ""
        Self.append(lines, attributes, to: &text)
        for section in media {
            let count = section.portCount.map { "/\($0)" } ?? ""
            let formats = section.formats.joined(separator: " ")
            text += "m=\(section.media) \(section.port)\(count) \(section.proto) \(formats)\r\n"
            Self.append(section.lines, section.attributes, to: &text)
        }
        return text
    }

    private static func append(_ lines: [Line], _ attributes: [Attribute], to text: inout String) {
        for line in lines {
            text += "\(Character(UnicodeScalar(line.type)))=\(line.value)\r\n"
        }
        for attribute in attributes {
            text += "a=\(attribute.name)"
            if let value = attribute.value {
                text += ":\(value)"
            }
            text += "\r\n"
        }
    }
}
