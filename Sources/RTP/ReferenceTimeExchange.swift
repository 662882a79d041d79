package import Wire

/// Both sides of the round trip that extended reports measure, also where one of the two sends no audio: a receiver's
/// reference time goes out, and comes back with how long the other held it (RFC 3611 §4.4, §4.5).
package struct ReferenceTimeExchange: Sendable {
    /// Round trip between us and the peer's RTP stack; nil until the peer gave our reference time back.
    package private(set) var roundTrip: Duration?
    private var last: (ssrc: UInt32, middle: UInt32, arrival: MonotonicTime)?

    package init() {}

    /// Notes the reference time of the peer's receiver `ssrc`.
    package mutating func receive(referenceTime: UInt64, from ssrc: UInt32, at now: MonotonicTime) {
        last = (ssrc, RoundTrip.middle(ofNTP: referenceTime), now)
    }

    /// What our next report gives back; nil when the peer sent no reference time yet.
    package func makeDelay(at now: MonotonicTime) -> DelaySinceLastReceiverReport? {
        last.map {
            DelaySinceLastReceiverReport(
                ssrc: $0.ssrc, lastReceiverReport: $0.middle, delay: RoundTrip.delay(since: $0.arrival, at: now))
        }
    }

    /// Takes in what the peer gave back to our SSRC.
    ///
    /// - Parameter ntpTimestamp: of the wall clock that our reference times come from, when the report arrived.
    package mutating func receive(_ delay: DelaySinceLastReceiverReport, ntpTimestamp: UInt64) {
        roundTrip =
            RoundTrip.measure(last: delay.lastReceiverReport, delay: delay.delay, ntpTimestamp: ntpTimestamp)
            ?? roundTrip
    }
}
