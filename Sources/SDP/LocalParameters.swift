/// What we tell the peer in an offer or an answer.
package struct LocalParameters: Sendable {
    /// Below 2^63 (RFC 9429 §5.2.1); the same in every description of a call.
    package var sessionID: UInt64
    /// One more in every description that differs from the one before.
    package var sessionVersion: UInt64
    package var iceUfrag: String
    package var icePassword: String
    package var fingerprint: Fingerprint
    /// In an offer what it says; in an answer the role to keep, where the offer allows it: `actpass` leaves the choice
    /// to the rule (active, unless the peer is).
    package var setup: Setup
    /// Whether we send no connectivity checks (RFC 8839 §5.3).
    package var iceLite: Bool
    /// Values of `a=candidate` lines.
    package var candidates: [String]
    package var ssrc: UInt32
    /// At most 255 bytes, no space or control character; new for every call (RFC 7022 §4.2).
    package var cname: String
    /// `a=msid`: tokens of up to 64 characters (RFC 8830 §2).
    package var streamID: String
    package var trackID: String
    /// What we would like; an answer narrows it to what was offered.
    package var direction: MediaDirection
    /// What we like to receive.
    package var opus: OpusParameters

    package init(
        sessionID: UInt64, sessionVersion: UInt64 = 1, iceUfrag: String, icePassword: String,
        fingerprint: Fingerprint, setup: Setup = .actpass, iceLite: Bool = false, candidates: [String] = [],
        ssrc: UInt32, cname: String, streamID: String = "patchbay", trackID: String = "audio",
        direction: MediaDirection = .sendrecv, opus: OpusParameters = .preferred
    ) {
        (self.sessionID, self.sessionVersion) = (sessionID, sessionVersion)
        (self.iceUfrag, self.icePassword) = (iceUfrag, icePassword)
        (self.fingerprint, self.setup, self.iceLite) = (fingerprint, setup, iceLite)
        (self.candidates, self.ssrc, self.cname) = (candidates, ssrc, cname)
        (self.streamID, self.trackID) = (streamID, trackID)
        (self.direction, self.opus) = (direction, opus)
    }
}

extension OpusParameters {
    /// What we ask for when nobody says otherwise: forward error correction, mono, packets of 10 ms at least.
    package static var preferred: OpusParameters {
        var parameters = OpusParameters()
        parameters.useInbandFEC = true
        parameters.minPTime = 10
        return parameters
    }
}
