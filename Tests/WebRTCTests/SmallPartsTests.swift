import Testing
import Wire

@testable import WebRTC

@Suite("Rate limiter")
struct RateLimiterTests {
    private func admissions(_ limiter: inout RateLimiter, of count: Int, at now: MonotonicTime) -> Int {
        var admitted = 0
        for _ in 0..<count where limiter.admit(now: now) { admitted += 1 }
        return admitted
    }

    @Test("lets a second's worth through at once, and then as much as it refills")
    func budget() {
        var limiter = RateLimiter(perSecond: 250, now: .zero)
        #expect(admissions(&limiter, of: 1000, at: .zero) == 250)
        // 4 ms buy one.
        #expect(admissions(&limiter, of: 10, at: .zero + .nanoseconds(3_999_999)) == 0)
        #expect(admissions(&limiter, of: 10, at: .zero + .milliseconds(4)) == 1)
    }

    @Test("takes nothing for what it refuses")
    func refusal() {
        var limiter = RateLimiter(perSecond: 1000, now: .zero)
        let admitted = [limiter.admit(900, now: .zero), limiter.admit(200, now: .zero), limiter.admit(100, now: .zero)]
        #expect(admitted == [true, false, true])
    }

    @Test("saves up no more than a second, and a clock that stands or steps back gives nothing")
    func saving() {
        var limiter = RateLimiter(perSecond: 10, now: .zero)
        let later = MonotonicTime.zero + .seconds(1_000_000)
        #expect(admissions(&limiter, of: 100, at: later) == 10)
        #expect(admissions(&limiter, of: 100, at: .zero) == 0)
    }

    @Test("is exact over a long time: the rate, and not a packet more", arguments: [7, 250, 32_000])
    func longRun(rate: Int) {
        var limiter = RateLimiter(perSecond: rate, now: .zero)
        var admitted = 0
        for step in 0..<100_000 where limiter.admit(now: .zero + .microseconds(137 * step)) { admitted += 1 }
        let expected = min(100_000, rate + Int(Double(rate) * 13.7))
        #expect(abs(admitted - expected) <= 1)
    }
}

@Suite("Reorder ring")
struct ReorderRingTests {
    /// A ring that a test's expectations can be written about.
    private final class Bench {
        var ring = ReorderRing()

        func insert(_ number: Int64, next: Int64, at now: MonotonicTime = .zero, length: Int = 100) -> Bool {
            let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: length)
            let packet = ReorderRing.Packet(timestamp: UInt32(number * 960), level: 7, isRedundant: number % 2 == 0)
            return ring.insert(number, packet, payload: payload.span, next: next, now: now)
        }

        func take(_ number: Int64) -> (packet: ReorderRing.Packet?, payload: [UInt8])? {
            guard let slot = ring.take(number) else { return nil }
            let lent = ring.lend(slot.place)
            ring.giveBack(lent, to: slot.place)
            return (slot.packet, lent)
        }
    }

    @Test("gives back what it was given, by number")
    func roundTrip() throws {
        let bench = Bench()
        for number in [5, 3, 9] as [Int64] { #expect(bench.insert(number, next: 2)) }
        #expect(bench.ring.earliest == 3)
        let first = try #require(bench.take(3))
        #expect(first.packet?.timestamp == 2880)
        #expect(first.packet?.level == 7)
        #expect(first.packet?.isRedundant == false)
        #expect(first.payload == [UInt8](repeating: 3, count: 100))
        #expect(bench.take(3) == nil)
        #expect(bench.ring.earliest == 5)
        #expect(!bench.ring.isEmpty)
        bench.ring.removeAll()
        #expect(bench.ring.isEmpty)
        #expect(bench.ring.earliest == nil)
        #expect(bench.ring.firstArrival == nil)
    }

    @Test(
        "takes 64 numbers from the next on, and none behind",
        arguments: [(9, false), (10, true), (73, true), (74, false)])
    func window(number: Int64, isTaken: Bool) {
        let bench = Bench()
        #expect(bench.insert(number, next: 10) == isTaken)
        #expect(bench.ring.isEmpty != isTaken)
    }

    @Test("knows when the first of those that wait came")
    func firstArrival() {
        let bench = Bench()
        #expect(bench.insert(8, next: 1, at: .zero + .seconds(1)))
        #expect(bench.insert(4, next: 1, at: .zero + .seconds(2)))
        #expect(bench.ring.firstArrival == .zero + .seconds(1))
        #expect(bench.take(8) != nil)
        #expect(bench.ring.firstArrival == .zero + .seconds(2))
    }

    @Test("keeps the first of two with one number, and refuses what fits in no datagram")
    func oddOnes() throws {
        let bench = Bench()
        #expect(bench.insert(4, next: 1, length: 1))
        #expect(bench.insert(4, next: 1, length: 2))
        #expect(try #require(bench.take(4)).payload.count == 1)
        #expect(bench.ring.isEmpty)
        #expect(!bench.insert(5, next: 1, length: 1501))
    }
}

@Suite("Durations told apart by length")
struct DurationHistogramTests {
    @Test("percentiles, to a step", arguments: [(0, 1.0), (0.5, 50), (0.95, 95), (0.99, 99), (1, 100)])
    func percentiles(share: Double, expected: Double) {
        var histogram = DurationHistogram()
        #expect(histogram.percentile(share) == nil)
        for millisecond in (1...100).reversed() { histogram.record(.milliseconds(millisecond)) }
        #expect(histogram.percentile(share) == expected)
        #expect(histogram.count == 100)
        #expect(histogram.longest == .milliseconds(100))
    }

    @Test("a step of its own", arguments: [(100, 12.3), (1000, 12.0), (10, 2.55)])
    func steps(microseconds: Int, expected: Double) throws {
        var histogram = DurationHistogram(step: .microseconds(microseconds))
        for _ in 0..<9 { histogram.record(.microseconds(12_345)) }
        histogram.record(.seconds(1))
        let median = try #require(histogram.percentile(0.5))
        // Beyond the table only the longest is known.
        #expect(abs(median - (microseconds == 10 ? 1000 : expected)) < 1e-9)
    }

    @Test("what is too long for the table is as long as the longest, and what goes backward is nothing")
    func extremes() {
        var histogram = DurationHistogram()
        histogram.record(.seconds(-1))
        histogram.record(.seconds(3))
        histogram.record(.seconds(1))
        #expect(histogram.count == 3)
        #expect(histogram.percentile(0.3) == 0)
        #expect(histogram.percentile(1) == 3000)
        #expect(histogram.longest == .seconds(3))
    }

    @Test("a sum holds both")
    func sum() {
        var (sum, more) = (DurationHistogram(), DurationHistogram())
        sum.record(.milliseconds(7))
        more.record(.milliseconds(7))
        more.record(.milliseconds(9))
        sum += more
        #expect(sum.count == 3)
        #expect(sum.percentile(0.6) == 7)
        #expect(sum.percentile(0.7) == 9)
        #expect(sum.longest == .milliseconds(9))
    }
}

@Suite("Points of a grid")
struct MonotonicTimeTests {
    @Test(
        "rounding up finds the next point, or stays on one",
        arguments: [
            (0, 1_000_000, 0), (1, 1_000_000, 1_000_000), (999_999, 1_000_000, 1_000_000),
            (1_000_000, 1_000_000, 1_000_000), (1_000_001, 1_000_000, 2_000_000), (41, 20, 60), (60, 20, 60),
            (17, 1, 17), (17, 0, 17), (17, -5, 17), (86_400_000_000_001, 1_000_000, 86_400_001_000_000),
        ] as [(Int64, Int64, Int64)])
    func roundedUp(time: Int64, step: Int64, expected: Int64) {
        let rounded = MonotonicTime(nanoseconds: time).roundedUp(to: .nanoseconds(step))
        #expect(rounded.nanoseconds == expected)
    }
}
