/// A peer's offer, of which we take the first usable audio section and reject the rest (RFC 9429 §5.3), but for a video
/// section that lends the audio its transport.
package struct Offer: Sendable {
    /// What it says about the peer. A new `iceUfrag` in a later offer asks for an ICE restart (RFC 9429 §5.3.1).
    package let remote: RemoteParameters
    private let description: SessionDescription
    private let video: InactiveVideo?

    /// - Throws: `SDPError` when it is not a description, or has no audio section that we can answer.
    package init(parsing text: String) throws(SDPError) {
        description = try SessionDescription(parsing: text)
        try description.checkMids()
        let audio = try Self.usableAudio(in: description)
        video = InactiveVideo(description, audio: audio)
        remote = try RemoteParameters(description, audio: audio, tagged: video?.index)
    }

    /// The first audio section with a transport protocol and formats that we speak.
    private static func usableAudio(in description: SessionDescription) throws(SDPError) -> Int {
        var refusal: SDPError?
        for (index, section) in description.media.enumerated() where section.media == "audio" {
            do throws(SDPError) {
                _ = try AudioFormats(section)
                return index
            } catch {
                refusal = refusal ?? error
            }
        }
        throw refusal ?? SDPError(.noAudio)
    }

    /// Our answer's `a=setup`: `preferred` where the offer allows it, else the one it leaves us (RFC 8842 §5.3).
    package func setup(preferring preferred: Setup = .actpass) -> Setup {
        switch (remote.setup, preferred) {
        case (.active, _): .passive
        case (.passive, _): .active
        case (.actpass, .passive): .passive
        case (.actpass, .active), (.actpass, .actpass): .active
        }
    }

    /// The text of our answer.
    package func answer(_ local: LocalParameters) -> String {
        var answer = SessionDescription(from: local)
        let audio = description.media[remote.audio.mediaIndex]
        if let mid = remote.audio.mid, description.bundle(containing: mid) != nil {
            let mids = [video.flatMap { description.media[$0.index].mid }, mid].compactMap(\.self)
            answer.attributes.append("group", "BUNDLE \(mids.joined(separator: " "))")
        }
        let agreement = agreement(on: audio, local)
        answer.media = description.media.enumerated().map { index, section in
            if index == remote.audio.mediaIndex {
                return SessionDescription.Media(audio: agreement, local)
            }
            if let video, index == video.index {
                return SessionDescription.Media(inactive: video, of: section, agreement, local)
            }
            return SessionDescription.Media(rejecting: section)
        }
        return "\(answer)"
    }

    private func agreement(
        on section: SessionDescription.Media, _ local: LocalParameters
    ) -> SessionDescription.Media.Agreement {
        SessionDescription.Media.Agreement(
            proto: section.proto, mid: remote.audio.mid, opus: remote.audio.opus.payloadType,
            telephoneEvents: remote.audio.telephoneEvents, red: remote.audio.red,
            extensions: HeaderExtension.supported(in: section, of: description),
            direction: local.direction.answer(to: remote.audio.direction),
            setup: setup(preferring: local.setup), trickle: remote.trickle,
            reducedSizeRTCP: remote.audio.reducedSizeRTCP, offered: section.formats)
    }
}
