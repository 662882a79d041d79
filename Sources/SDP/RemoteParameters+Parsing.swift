extension RemoteParameters {
    static let maximumCandidates = 32
    static let maximumFingerprints = 8
    static let maximumSSRCs = 8

    /// Reads what `description` says about the audio section `index` and the transport that carries it.
    ///
    /// A transport attribute may stand in the section, at session level, or (in a bundle) in another section of the
    /// group: the tagged one speaks for all (RFC 9143 §7.1.3).
    ///
    /// - Parameter tagged: the section whose transport is used for the audio, where it is known to be another.
    init(_ description: SessionDescription, audio index: Int, tagged: Int? = nil) throws(SDPError) {
        let section = description.media[index]
        let formats = try AudioFormats(section)
        let group = description.bundle(containing: section.mid) ?? []
        let bundled = group.compactMap { mid in
            mid[...] == section.mid.map { $0[...] } ? nil : description.media.first { $0.mid == String(mid) }
        }
        let places = [section.attributes, description.attributes] + bundled.map(\.attributes)

        func transport(_ name: String) -> [SessionDescription.Attribute] {
            places.lazy.map { $0.all(named: name) }.first { !$0.isEmpty } ?? []
        }
        func value(_ name: String, _ isValid: (String) -> Bool) throws(SDPError) -> String {
            guard let attribute = transport(name).first else {
                throw SDPError(.missing(name), line: section.line)
            }
            guard let value = attribute.value, isValid(value) else {
                throw SDPError(.malformed(name), line: attribute.line)
            }
            return value
        }

        iceUfrag = try value("ice-ufrag") { $0.isICECharacters(4...256) }
        icePassword = try value("ice-pwd") { $0.isICECharacters(22...256) }
        iceLite = description.attributes.contains(named: "ice-lite")
        trickle = transport("ice-options").contains { ($0.value ?? "").words.contains("trickle") }
        fingerprints = try Self.fingerprints(transport("fingerprint"), line: section.line)
        let setup = try value("setup") { Setup(rawValue: $0) != nil || $0 == "holdconn" }
        guard let setup = Setup(rawValue: setup) else {
            throw SDPError(.holdConnection, line: transport("setup").first?.line ?? section.line)
        }
        self.setup = setup
        guard !transport("rtcp-mux").isEmpty || !transport("rtcp-mux-only").isEmpty else {
            throw SDPError(.missing("rtcp-mux"), line: section.line)
        }

        // A bundle may list its candidates in the tagged section alone; sections of one transport share their ufrag.
        let ufrag = iceUfrag
        let carriers =
            [tagged.map { description.media[$0] } ?? section, section]
            + bundled.filter { $0.attributes.first(named: "ice-ufrag")?.value == ufrag }
        let carrier = carriers.first { $0.attributes.contains(named: "candidate") } ?? section
        candidates = carrier.attributes.all(named: "candidate").prefix(Self.maximumCandidates).compactMap(\.value)
        endOfCandidates =
            carrier.attributes.contains(named: "end-of-candidates")
            || description.attributes.contains(named: "end-of-candidates")
        audio = RemoteAudio(description, index: index, section: section, formats: formats)
    }

    private static func fingerprints(
        _ attributes: [SessionDescription.Attribute], line: Int
    ) throws(SDPError) -> [Fingerprint] {
        guard !attributes.isEmpty else { throw SDPError(.missing("fingerprint"), line: line) }
        var fingerprints: [Fingerprint] = []
        for attribute in attributes.prefix(maximumFingerprints) {
            switch Fingerprint.parse(attribute.value ?? "") {
            case .known(let fingerprint): fingerprints.append(fingerprint)
            case .otherAlgorithm: break
            case .malformed: throw SDPError(.malformed("fingerprint"), line: attribute.line)
            }
        }
        guard !fingerprints.isEmpty else { throw SDPError(.unsupportedFingerprint, line: line) }
        return fingerprints
    }
}

extension RemoteAudio {
    fileprivate init(
        _ description: SessionDescription, index: Int, section: SessionDescription.Media, formats: AudioFormats
    ) {
        mid = section.mid
        mediaIndex = index
        direction =
            [section.attributes, description.attributes].lazy
            .compactMap { $0.lazy.compactMap { MediaDirection(rawValue: $0.name) }.first }.first ?? .sendrecv
        opus = formats.opus
        telephoneEvents = formats.telephoneEvents
        red = formats.red
        let extensions = HeaderExtension.supported(in: section, of: description)
        audioLevelExtensionID = extensions.first { $0.uri == HeaderExtension.audioLevel }?.id
        midExtensionID = extensions.first { $0.uri == HeaderExtension.mid }?.id
        reducedSizeRTCP = section.attributes.contains(named: "rtcp-rsize")
        ssrcs = []
        for attribute in section.attributes where attribute.name == "ssrc" {
            guard let (number, rest) = attribute.value?.halves(around: " "), let ssrc = number.decimal(UInt32.self)
            else { continue }
            if !ssrcs.contains(ssrc), ssrcs.count < RemoteParameters.maximumSSRCs {
                ssrcs.append(ssrc)
            }
            if cname == nil, let (name, value) = rest.halves(around: ":"), name == "cname", value.utf8.count < 256 {
                cname = String(value)
            }
        }
    }
}

extension SessionDescription {
    /// Every mid is a token of up to 64 characters and names one section only.
    func checkMids() throws(SDPError) {
        var seen: Set<String> = []
        for section in media {
            guard let attribute = section.attributes.first(named: "mid") else { continue }
            guard let mid = attribute.value, mid.isToken(upTo: 64) else {
                throw SDPError(.malformed("mid"), line: attribute.line)
            }
            guard seen.insert(mid).inserted else { throw SDPError(.duplicateMid, line: attribute.line) }
        }
    }
}
