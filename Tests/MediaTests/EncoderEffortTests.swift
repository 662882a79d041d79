import Testing
import Wire

@testable import Media

@Suite("How hard encoders work")
struct EncoderEffortTests {
    private var now = MonotonicTime.zero
    private var used = Duration.zero
    private var effort = EncoderEffort(within: 0...5)

    /// Looks for so many seconds at a thread that needs, at complexity `n`, the share that `demand` says.
    private mutating func run(seconds: Double, demand: (_ complexity: Int) -> Double) -> [Int] {
        var limits: [Int] = []
        for _ in 0..<Int(seconds * 100) {
            now = now + .milliseconds(10)
            used += .milliseconds(10) * min(demand(effort.limit), 1)
            if effort.isDue(now), effort.measure(used: used, now: now) { limits.append(effort.limit) }
        }
        return limits
    }

    @Test("they work as they are set to while there is time", arguments: [0, 0.3, 0.79])
    mutating func enough(share: Double) {
        #expect(effort.limit == 5)
        #expect(run(seconds: 60) { _ in share } == [])
    }

    @Test("step by step less where time is short, and it settles: no step is taken back at once")
    mutating func less() {
        #expect(run(seconds: 60) { 0.5 + 0.07 * Double($0) } == [4])
        #expect(run(seconds: 60) { 0.6 + 0.07 * Double($0) } == [3, 2])
    }

    @Test(
        "three steps at once where there is next to none, and never below what is allowed",
        arguments: zip([0, 1, 4, 5], [[2, 0], [2, 1], [4], []]))
    mutating func overload(lowest: Int, limits: [Int]) {
        effort = EncoderEffort(within: lowest...5)
        #expect(run(seconds: 10) { _ in 1.2 } == limits)
    }

    @Test("back again, a step in three seconds, when there is time for it")
    mutating func more() {
        #expect(run(seconds: 3) { _ in 1 } == [2, 0])
        #expect(run(seconds: 14) { _ in 0.2 } == [1, 2, 3, 4])
        #expect(run(seconds: 60) { _ in 0.7 } == [])
        #expect(run(seconds: 60) { _ in 0.2 } == [5])
    }

    @Test("and at once after a long rest", arguments: zip([2.4, 3, 7, 3600], [0, 1, 2, 5]))
    mutating func rest(seconds: Double, limit: Int) {
        _ = run(seconds: 3) { _ in 1 }
        #expect(effort.limit == 0)
        _ = effort.measure(used: used, now: now + .seconds(seconds))
        #expect(effort.limit == limit)
    }

    @Test("a clock that stands still says nothing")
    mutating func standstill() {
        _ = run(seconds: 3) { _ in 1 }
        for more in 0...2 {
            let changed = effort.measure(used: used + .seconds(more), now: now)
            #expect(!changed)
        }
        #expect(effort.limit == 0)
    }
}
