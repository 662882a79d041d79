/// How a call sounds, estimated from its statistics: the mean opinion score, 1 (bad) to 4.5, of each direction.
///
/// The model is the E-model of ITU-T G.107 (06/2015) in its reduced form, in which everything but delay, coding and loss has
/// its default value: `R = 93.2 - Id - Ie,eff`. Delay costs `Id = 0.024 Ta + 0.11 max(0, Ta - 177.3)`, with Ta in
/// milliseconds one way; coding and loss cost `Ie,eff = Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl)`, with Ppl in percent.
/// Annex B makes a score of R.
///
/// It is an estimate of a conversation on the narrowband scale, for the call so far as a whole. Nobody has listened: noise,
/// echo and what a pipeline does with the sound are not in it.
package struct ListeningQuality: Sendable, Equatable {
    /// Of what the pipeline gets; nil before the first sound.
    package var received: Double?
    /// Of what the caller hears; nil before the caller's first receiver report.
    package var sent: Double?

    package init(_ statistics: CallStatistics) {
        let network = (statistics.roundTripTime ?? .zero) / 2
        if statistics.framesReceived > 0 {
            // Behind 120 ms of guesses there is silence, which nobody counts as concealed: what was lost for good counts.
            let gone = statistics.packetsLost &+ statistics.packetsLate &- statistics.framesRecovered
            let lost = max(statistics.framesConcealed, gone)
            let frames = statistics.framesReceived &- statistics.framesConcealed &+ lost
            received = Self.score(
                loss: Self.share(lost, of: frames), delay: network + Self.opusDelay + statistics.reorderHold,
                codec: .opus)
        }
        if statistics.remoteLoss != nil {
            // A peer does not say how long it holds packets back; twice the jitter is what such buffers come to.
            let hold = (statistics.remoteJitter ?? .zero) * 2
            sent = Self.score(
                loss: Self.share(statistics.remotePacketsLost, of: statistics.packetsSent),
                delay: network + Self.opusDelay + hold, codec: statistics.sendsFEC ? .opusWithFEC : .opus)
        }
    }

    /// A frame of 20 ms and what the encoder looks ahead (RFC 6716 §2).
    private static let opusDelay = Duration.microseconds(26_500)

    private static func share(_ part: Int, of whole: Int) -> Double {
        whole > 0 ? min(max(Double(part) / Double(whole), 0), 1) : 0
    }
}

extension ListeningQuality {
    /// What the model knows of a codec.
    package struct Codec: Sendable {
        /// Equipment impairment without loss.
        package var impairment: Double
        /// Packet-loss robustness: at this loss, in percent, half of what there is to lose is lost.
        package var robustness: Double

        package init(impairment: Double, robustness: Double) {
            self.impairment = impairment
            self.robustness = robustness
        }

        // G.113 has no values for Opus, so these are ours. On the narrowband scale it is not worse than G.711, whose
        // impairment is 0. The robustness is what fits PESQ (P.862.1) of libopus at 32 kbit/s with independent losses of 1 to
        // 20 %: between 12 and 18 with its concealment alone, between 21 and 46 with forward error correction.

        /// Opus, what is missing guessed.
        package static let opus = Codec(impairment: 0, robustness: 15)
        /// Opus, with each frame once more in the packet behind it.
        package static let opusWithFEC = Codec(impairment: 0, robustness: 30)
    }

    /// The score at a share of loss, 0 … 1, and a delay from mouth to ear.
    ///
    /// - Parameter burstiness: BurstR, the mean length of a burst of loss over what it is when losses are independent.
    package static func score(loss: Double, delay: Duration, codec: Codec, burstiness: Double = 1) -> Double {
        score(rating: rating(loss: loss, delay: delay, codec: codec, burstiness: burstiness))
    }

    /// R.
    static func rating(loss: Double, delay: Duration, codec: Codec, burstiness: Double = 1) -> Double {
        let milliseconds = max(0, delay / .milliseconds(1))
        let ofDelay = 0.024 * milliseconds + 0.11 * max(0, milliseconds - 177.3)
        let percent = min(max(loss, 0), 1) * 100
        let ofLoss = (95 - codec.impairment) * percent / (percent / max(burstiness, 1) + codec.robustness)
        return 93.2 - ofDelay - codec.impairment - ofLoss
    }

    /// G.107 Annex B; the polynomial is below 1 between 0 and 6.5, and the scale is not.
    static func score(rating: Double) -> Double {
        if rating <= 0 { return 1 }
        if rating >= 100 { return 4.5 }
        return max(1, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)
    }
}
