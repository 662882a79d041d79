/// An offer of ours: one audio section with Opus, telephone events, audio level and mid (RFC 9429 §5.2.1).
package enum LocalOffer {
    /// The payload types and header extension ids that we offer.
    package static let opus: UInt8 = 111
    package static let telephoneEvents = [
        TelephoneEventFormat(payloadType: 110, clockRate: 48_000),
        TelephoneEventFormat(payloadType: 126, clockRate: 8000),
    ]
    package static let audioLevelExtensionID: UInt8 = 1
    package static let midExtensionID: UInt8 = 2

    private static let extensions = [
        HeaderExtension(id: audioLevelExtensionID, uri: HeaderExtension.audioLevel),
        HeaderExtension(id: midExtensionID, uri: HeaderExtension.mid),
    ]

    /// The text of the offer. In a first offer `local.setup` is `actpass`.
    package static func make(_ local: LocalParameters, mid: String = "0") -> String {
        var offer = SessionDescription(from: local)
        offer.attributes.append("group", "BUNDLE \(mid)")
        let agreement = SessionDescription.Media.Agreement(
            mid: mid, opus: opus, telephoneEvents: telephoneEvents, extensions: extensions,
            direction: local.direction, setup: local.setup)
        offer.media = [SessionDescription.Media(audio: agreement, local)]
        return "\(offer)"
    }

    /// Reads the answer to an offer that `make` wrote.
    ///
    /// - Throws: `SDPError` when it is not a description, rejects the audio, or holds what was not offered.
    package static func accept(answer text: String, mid: String = "0") throws(SDPError) -> RemoteParameters {
        let answer = try SessionDescription(parsing: text)
        try answer.checkMids()
        guard answer.media.count == 1, let section = answer.media.first else {
            throw SDPError(.mediaCountChanged(answer.media.count))
        }
        guard section.media == "audio" else { throw SDPError(.noAudio, line: section.line) }
        guard section.port != 0 else { throw SDPError(.rejectedAudio, line: section.line) }
        guard section.mid == nil || section.mid == mid else { throw SDPError(.notOffered("a mid"), line: section.line) }
        let remote = try RemoteParameters(answer, audio: 0)
        guard remote.setup != .actpass else { throw SDPError(.passiveOrActiveExpected, line: section.line) }
        let audio = remote.audio
        let offered = [opus] + telephoneEvents.map(\.payloadType)
        guard section.formats.allSatisfy({ $0.decimal().map(offered.contains) ?? false }),
            audio.opus.payloadType == opus, audio.red == nil, audio.telephoneEvents.allSatisfy(telephoneEvents.contains)
        else {
            throw SDPError(.notOffered("a payload type"), line: section.line)
        }
        guard audio.audioLevelExtensionID.map({ $0 == audioLevelExtensionID }) ?? true,
            audio.midExtensionID.map({ $0 == midExtensionID }) ?? true
        else { throw SDPError(.notOffered("a header extension id"), line: section.line) }
        return remote
    }
}
