import Testing
import Wire

@testable import WebRTC

@Suite("The estimated score of how a call sounds")
struct ListeningQualityTests {
    @Test(
        "is that of ITU-T G.107 Annex B for a rating",
        arguments: [
            (-5, 1), (0, 1), (5, 1), (50, 2.58), (60, 3.10), (70, 3.60), (80, 4.03), (90, 4.34), (93.2, 4.41),
            (100, 4.5), (120, 4.5),
        ])
    func score(rating: Double, expected: Double) {
        #expect(abs(ListeningQuality.score(rating: rating) - expected) < 0.007)
    }

    /// Codecs with the values of G.113 Appendix I.
    @Test(
        "comes from the rating that delay, codec and loss leave",
        arguments: [
            // G.711: the default of the model, its delay, and both sides of the knee.
            (0, 25.1, 0, 0, 93.2), (0, 25.1, 0, 100, 90.8), (0, 25.1, 0, 177.3, 88.945), (0, 25.1, 0, 277.3, 75.545),
            // G.711 with concealment at 5 % loss, and G.729A at none and at 2 %.
            (0, 25.1, 0.05, 0, 77.419), (11, 19, 0, 0, 82.2), (11, 19, 0.02, 0, 74.2),
            (0, 25.1, 1, 0, 17.261),
        ])
    func rating(impairment: Double, robustness: Double, loss: Double, delay: Double, expected: Double) {
        let codec = ListeningQuality.Codec(impairment: impairment, robustness: robustness)
        let rating = ListeningQuality.rating(loss: loss, delay: .microseconds(Int(delay * 1000)), codec: codec)
        #expect(abs(rating - expected) < 0.001)
    }

    @Test("bursts cost more than the same loss here and there")
    func bursts() {
        func rating(_ burstiness: Double) -> Double {
            ListeningQuality.rating(loss: 0.05, delay: .zero, codec: .opus, burstiness: burstiness)
        }
        #expect(rating(2) < rating(1))
        #expect(rating(0) == rating(1))
    }

    private static func statistics(_ change: (inout CallStatistics) -> Void) -> CallStatistics {
        var statistics = CallStatistics()
        (statistics.packetsSent, statistics.packetsReceived, statistics.framesReceived) = (1000, 1000, 1000)
        statistics.remoteLoss = 0
        statistics.roundTripTime = .milliseconds(20)
        change(&statistics)
        return statistics
    }

    @Test("is about 4.4 without loss and with little delay, both ways")
    func good() throws {
        let quality = ListeningQuality(Self.statistics { _ in })
        #expect(abs(try #require(quality.received) - 4.39) < 0.02)
        #expect(quality.received == quality.sent)
    }

    @Test("is not known before there is sound, or a report")
    func unknown() {
        let quality = ListeningQuality(CallStatistics())
        #expect(quality.received == nil)
        #expect(quality.sent == nil)
    }

    @Test("falls in the direction that suffers, and only there")
    func directions() throws {
        let good = ListeningQuality(Self.statistics { _ in })
        let changes: [(received: Bool, sent: Bool, change: (inout CallStatistics) -> Void)] = [
            (true, false, { $0.framesConcealed = 50 }),
            // Silence behind a long gap was never concealed.
            (true, false, { $0.packetsLost = 50 }), (true, false, { $0.packetsLate = 50 }),
            (true, false, { $0.reorderHold = .milliseconds(80) }),
            (false, true, { $0.remotePacketsLost = 50 }), (false, true, { $0.remoteJitter = .milliseconds(40) }),
            (true, true, { $0.roundTripTime = .milliseconds(400) }),
            // What redundancy made good is not lost.
            (false, false, { ($0.packetsLost, $0.framesRecovered) = (50, 50) }),
        ]
        for (number, each) in changes.enumerated() {
            let quality = ListeningQuality(Self.statistics(each.change))
            let fell = (
                received: (quality.received ?? 0) < (good.received ?? 0) - 0.01,
                sent: (quality.sent ?? 0) < (good.sent ?? 0) - 0.01
            )
            #expect(fell == (each.received, each.sent), "\(number)")
        }
    }

    @Test("what the peer loses weighs less while we send redundancy for it")
    func redundancy() throws {
        func sent(_ sendsFEC: Bool) -> Double {
            let statistics = Self.statistics { ($0.remotePacketsLost, $0.sendsFEC) = (50, sendsFEC) }
            return ListeningQuality(statistics).sent ?? 0
        }
        #expect(sent(true) > sent(false) + 0.2)
    }

    @Test("stays on its scale whatever a peer reports", arguments: [Int.min / 4, -1, 5000, Int.max / 4])
    func absurd(count: Int) throws {
        let statistics = Self.statistics {
            ($0.remotePacketsLost, $0.packetsLost, $0.roundTripTime) = (count, count, .seconds(60))
            $0.remoteJitter = .seconds(90_000)
        }
        let quality = ListeningQuality(statistics)
        for score in [try #require(quality.received), try #require(quality.sent)] {
            #expect((1...4.5).contains(score))
        }
    }
}
