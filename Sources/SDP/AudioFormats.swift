/// The formats of an audio section that we can use, under the numbers that the section gives them.
struct AudioFormats {
    var opus: OpusFormat
    var telephoneEvents: [TelephoneEventFormat]
    /// RFC 2198, of Opus only.
    var red: UInt8?

    /// The profiles that all mean DTLS-SRTP (RFC 9429 §5.1.2).
    private static let profiles: Set<String> = [
        "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP",
        "RTP/SAVPF", "RTP/SAVP", "RTP/AVPF", "RTP/AVP",
    ]

    /// - Throws: `SDPError` when the section cannot carry our audio.
    init(_ section: SessionDescription.Media) throws(SDPError) {
        guard !section.isRejected else { throw SDPError(.rejectedAudio, line: section.line) }
        guard Self.profiles.contains(section.proto) else {
            throw SDPError(.unsupportedProtocol, line: section.line)
        }
        // By payload type, the first mapping of each.
        var encodings: [UInt8: String] = [:]
        for attribute in section.attributes where attribute.name == "rtpmap" {
            guard let words = attribute.value?.words, words.count == 2, let type = words[0].decimal(UInt8.self),
                type < 128
            else { throw SDPError(.malformed("rtpmap"), line: attribute.line) }
            encodings[type] = encodings[type] ?? words[1].lowercased()
        }
        // With rtcp-mux, payload types 64 … 95 look like RTCP (RFC 5761 §4).
        let types = section.formats.compactMap { $0.decimal(UInt8.self) }
            .filter { $0 < 128 && !(64...95).contains($0) }
        guard let type = types.first(where: { encodings[$0] == "opus/48000/2" }) else {
            throw SDPError(.noOpus, line: section.line)
        }
        var settings: [UInt8: Substring] = [:]
        for attribute in section.attributes where attribute.name == "fmtp" {
            guard let (number, rest) = attribute.value?.halves(around: " "), let type = number.decimal(UInt8.self)
            else { continue }
            settings[type] = settings[type] ?? rest
        }
        var parameters = OpusParameters()
        if let settings = settings[type] {
            parameters.read(fmtp: settings)
        }
        func packetTime(_ name: String) -> Int? {
            section.attributes.first(named: name)?.value?.decimal().map(OpusParameters.packetTime)
        }
        parameters.pTime = packetTime("ptime") ?? parameters.pTime
        parameters.maxPTime = packetTime("maxptime") ?? parameters.maxPTime
        opus = OpusFormat(payloadType: type, parameters: parameters)
        red = types.first { red in
            // Its fmtp names the payload types of its blocks (RFC 2198 §5).
            encodings[red] == "red/48000/2"
                && settings[red]?.words.first.map { $0.parts(separatedBy: "/").allSatisfy { $0.decimal() == type } }
                    ?? true
        }
        telephoneEvents = []
        for type in types where !telephoneEvents.contains(where: { $0.payloadType == type }) {
            switch encodings[type] {
            case "telephone-event/48000":
                telephoneEvents.append(TelephoneEventFormat(payloadType: type, clockRate: 48_000))
            case "telephone-event/8000", "telephone-event/8000/1":
                telephoneEvents.append(TelephoneEventFormat(payloadType: type, clockRate: 8000))
            default: break
            }
        }
    }
}
