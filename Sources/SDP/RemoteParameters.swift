/// What the peer told us in an offer or an answer, checked (RFC 9429 §5.8).
package struct RemoteParameters: Sendable {
    package var iceUfrag: String
    package var icePassword: String
    /// The peer only answers checks, so we are the controlling side (RFC 8445 §6.1.1).
    package var iceLite: Bool
    /// The peer takes candidates later (RFC 8840); when it does not, an answer has to carry all of ours.
    package var trickle: Bool
    /// The peer's certificate has one of these; at least one, at most 8.
    package var fingerprints: [Fingerprint]
    package var setup: Setup
    /// Values of the `a=candidate` lines of the transport that carries the audio, at most 32.
    package var candidates: [String]
    /// No more candidates follow (RFC 8840 §8.2).
    package var endOfCandidates: Bool
    package var audio: RemoteAudio
}

/// The peer's side of the one audio section that is used.
package struct RemoteAudio: Sendable {
    package var mid: String?
    /// Which m-line it is, from 0; what a trickled candidate without `sdpMid` refers to.
    package var mediaIndex: Int
    /// As the peer wrote it: `sendonly` means that we may only receive.
    package var direction: MediaDirection
    package var opus: OpusFormat
    /// At 48 000 and 8000 Hz only.
    package var telephoneEvents: [TelephoneEventFormat]
    /// Payload type of Opus with redundancy (RFC 2198); nil when it is not used.
    package var red: UInt8?
    /// Id of the RFC 6464 header extension; nil when it is not used.
    package var audioLevelExtensionID: UInt8?
    /// Id of the RFC 9143 §15 header extension; nil when it is not used.
    package var midExtensionID: UInt8?
    /// What `a=ssrc` announces, at most 8.
    package var ssrcs: [UInt32]
    package var cname: String?
    /// The peer takes RTCP packets that are not compound (RFC 5506).
    package var reducedSizeRTCP: Bool
}

/// Opus under the payload type that the peer gave it, with what the peer likes to receive.
package struct OpusFormat: Hashable, Sendable {
    package var payloadType: UInt8
    package var parameters: OpusParameters
}

/// RFC 4733 events under the payload type that the peer gave them.
package struct TelephoneEventFormat: Hashable, Sendable {
    package var payloadType: UInt8
    /// Hz.
    package var clockRate: UInt32
}
