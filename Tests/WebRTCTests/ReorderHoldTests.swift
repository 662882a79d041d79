import Testing
import Wire

@testable import WebRTC

/// A hold that a test's expectations can be written about.
private final class Bench {
    private var hold = ReorderHold()

    var duration: Duration { hold.duration }

    func arrived(_ number: Int64, now: MonotonicTime) -> Bool { hold.arrived(number, now: now) }

    func restart() { hold.restart() }
}

@Suite("How long a gap waits")
struct ReorderHoldTests {
    /// Takes `count` packets in order, one each 20 ms; returns the number and time of the next.
    private func run(
        _ hold: Bench, _ count: Int, from number: Int64 = 0, at start: MonotonicTime = .zero
    ) -> (number: Int64, at: MonotonicTime) {
        for step in 0..<count {
            #expect(hold.arrived(number + Int64(step), now: start + .milliseconds(20 * step)))
        }
        return (number + Int64(count), start + .milliseconds(20 * count))
    }

    @Test(
        "40 ms at first, and with packets in order down to 10 ms",
        arguments: [
            (0, 40.0, 40.0), (1, 39.9, 40), (500, 20, 22), (1000, 13, 15), (2000, 10, 11), (20_000, 10, 10.01),
        ])
    func fall(packets: Int, least: Double, most: Double) {
        let hold = Bench()
        _ = run(hold, packets)
        #expect((least...most).contains(hold.duration.milliseconds))
    }

    @Test(
        "rises at once to twice what was needed and 5 ms, up to 200 ms",
        arguments: [
            (1, 10), (2, 10), (10, 25), (20, 45), (60, 125), (97, 199), (98, 200), (5000, 200),
        ])
    func rise(delay: Int, expected: Double) {
        let hold = Bench()
        let next = run(hold, 20_000)
        _ = hold.arrived(next.number + 1, now: next.at)
        let resting = hold.duration
        #expect(hold.arrived(next.number, now: next.at + .milliseconds(delay)))
        #expect(abs(hold.duration.milliseconds - expected) < 0.01)
        #expect(hold.duration >= resting)
        // And again a little less with the next.
        let highest = hold.duration
        _ = hold.arrived(next.number + 2, now: next.at + .milliseconds(delay))
        #expect(hold.duration <= highest && hold.duration.milliseconds > expected - 0.5)
    }

    @Test("a packet was missing from when the first later one came, not the last")
    func firstLater() {
        let hold = Bench()
        let next = run(hold, 20_000)
        for step in 1...5 { _ = hold.arrived(next.number + Int64(step), now: next.at + .milliseconds(10 * step)) }
        #expect(hold.arrived(next.number, now: next.at + .milliseconds(58)))
        // 48 ms after the first.
        #expect(abs(hold.duration.milliseconds - 101) < 0.01)
        // One that was missing a shorter time does not lower it.
        _ = hold.arrived(next.number + 7, now: next.at + .milliseconds(60))
        #expect(hold.arrived(next.number + 6, now: next.at + .milliseconds(61)))
        #expect(hold.duration.milliseconds > 100.5)
    }

    @Test("packets that come again say nothing", arguments: [0, 1, 2, 10, 63])
    func duplicates(age: Int) {
        let hold = Bench()
        let next = run(hold, 300)
        let before = hold.duration
        for _ in 0..<10 { #expect(!hold.arrived(next.number - 1 - Int64(age), now: next.at + .seconds(1))) }
        #expect(hold.duration == before)
    }

    @Test("nor do packets from long ago", arguments: [64, 65, 1000, 100_000])
    func ancient(age: Int64) {
        let hold = Bench()
        let next = run(hold, 300, from: 200_000)
        let before = hold.duration
        #expect(hold.arrived(next.number - 1 - age, now: next.at))
        #expect(hold.duration == before)
    }

    @Test("another stream's numbers begin anew, and the wait is kept")
    func restart() {
        let hold = Bench()
        _ = run(hold, 300)
        let before = hold.duration
        hold.restart()
        #expect(hold.duration == before)
        // The same numbers are no duplicates, and lower ones not late.
        _ = run(hold, 300, at: .zero + .seconds(100))
        #expect(hold.duration < before)
        hold.restart()
        let after = hold.duration
        _ = run(hold, 1, from: -70_000, at: .zero + .seconds(200))
        #expect(hold.duration < after)
    }

    @Test(
        "numbers around zero and beyond 16 bits are as good as any",
        arguments: [-3, 65_533, 1 << 32, -70_000] as [Int64])
    func wrap(first: Int64) {
        let hold = Bench()
        let next = run(hold, 6, from: first)
        _ = hold.arrived(next.number + 1, now: next.at)
        #expect(hold.arrived(next.number, now: next.at + .milliseconds(60)))
        #expect(hold.duration == .milliseconds(125))
        #expect(!hold.arrived(first, now: next.at + .milliseconds(60)))
    }
}
