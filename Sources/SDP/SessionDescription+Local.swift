internal import Wire

extension SessionDescription {
    /// A description with our session lines and no media yet.
    init(from local: LocalParameters) {
        // 127.0.0.1 tells nothing and is what RFC 9429 §5.2.1 allows for.
        let origin = "- \(local.sessionID & (.max >> 1)) \(local.sessionVersion) IN IP4 127.0.0.1"
        lines = [
            Line(type: UInt8(ascii: "v"), value: "0"), Line(type: UInt8(ascii: "o"), value: origin),
            Line(type: UInt8(ascii: "s"), value: "-"), Line(type: UInt8(ascii: "t"), value: "0 0"),
        ]
        if local.iceLite { attributes.append("ice-lite") }
    }
}

extension SessionDescription.Media {
    /// What an audio section of ours takes over from the peer, or from our own offer.
    struct Agreement {
        var proto = "UDP/TLS/RTP/SAVPF"
        var mid: String?
        var opus: UInt8
        var telephoneEvents: [TelephoneEventFormat]
        var red: UInt8?
        var extensions: [HeaderExtension]
        var direction: MediaDirection
        var setup: Setup
        var trickle = true
        var reducedSizeRTCP = true
        /// The formats of an offer, whose order an answer keeps (RFC 3264 §6.1).
        var offered: [String] = []

        /// All payload types, the preferred first.
        var payloadTypes: [UInt8] {
            let types = [opus] + (red.map { [$0] } ?? []) + telephoneEvents.map(\.payloadType)
            guard !offered.isEmpty else { return types }
            let order = offered.map { $0.decimal(UInt8.self) }
            return types.sorted { (order.firstIndex(of: $0) ?? 0) < (order.firstIndex(of: $1) ?? 0) }
        }
    }

    /// Our side of the audio section.
    init(audio agreement: Agreement, _ local: LocalParameters) {
        self.init(
            media: "audio", port: 9, proto: agreement.proto, formats: agreement.payloadTypes.map { "\($0)" },
            lines: [.noConnection])
        appendTransport(agreement, local)
        if agreement.reducedSizeRTCP {
            attributes.append("rtcp-rsize")
        }
        for extensionMapping in agreement.extensions {
            attributes.append("extmap", extensionMapping.answer)
        }
        attributes.append("rtpmap", "\(agreement.opus) opus/48000/2")
        attributes.append("fmtp", "\(agreement.opus) \(local.opus.fmtp)")
        if let red = agreement.red {
            attributes.append("rtpmap", "\(red) red/48000/2")
            attributes.append("fmtp", "\(red) \(agreement.opus)/\(agreement.opus)")
        }
        for event in agreement.telephoneEvents {
            attributes.append("rtpmap", "\(event.payloadType) telephone-event/\(event.clockRate)")
        }
        if let pTime = local.opus.pTime {
            attributes.append("ptime", "\(pTime)")
        }
        if let maxPTime = local.opus.maxPTime {
            attributes.append("maxptime", "\(maxPTime)")
        }
        if agreement.direction.sends {
            attributes.append("msid", "\(local.streamID) \(local.trackID)")
            attributes.append("ssrc", "\(local.ssrc) cname:\(local.cname)")
        }
    }

    private mutating func appendTransport(_ agreement: Agreement, _ local: LocalParameters) {
        if let mid = agreement.mid {
            attributes.append("mid", mid)
        }
        attributes.append("ice-ufrag", local.iceUfrag)
        attributes.append("ice-pwd", local.icePassword)
        if agreement.trickle {
            attributes.append("ice-options", "trickle")
        }
        attributes.append("fingerprint", "\(local.fingerprint)")
        attributes.append("setup", agreement.setup.rawValue)
        attributes.append(agreement.direction.rawValue)
        attributes.append("rtcp-mux")
        for candidate in local.candidates {
            attributes.append("candidate", candidate)
        }
    }

    /// Our yes to a video section that is to stay for its transport, and no media.
    init(inactive video: InactiveVideo, of offered: Self, _ agreement: Agreement, _ local: LocalParameters) {
        self.init(
            media: offered.media, port: 9, proto: offered.proto, formats: ["\(video.payloadType)"],
            lines: [.noConnection])
        var agreement = agreement
        (agreement.mid, agreement.direction) = (offered.mid, .inactive)
        appendTransport(agreement, local)
        attributes.append("rtpmap", "\(video.payloadType) \(video.encoding)")
    }

    /// The rejection of `offered` (RFC 3264 §6): nothing of it comes back but type, protocol, formats and mid.
    init(rejecting offered: SessionDescription.Media) {
        self.init(
            media: offered.media, port: 0, proto: offered.proto, formats: offered.formats,
            lines: [.noConnection])
        if let mid = offered.mid {
            attributes.append("mid", mid)
        }
    }
}

extension SessionDescription.Line {
    /// No address: candidates have them all, and what a policy keeps back stands nowhere (RFC 9429 §5.2.1).
    fileprivate static let noConnection = SessionDescription.Line(type: UInt8(ascii: "c"), value: "IN IP4 0.0.0.0")
}
