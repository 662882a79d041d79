import Testing
import Wire

@testable import Media

@Suite("How hard encoders work")
struct EncoderEffortTests {
    /// Looks for so many seconds at a thread that needs, at complexity `n`, the share that `demand` says.
    private func run(
        _ effort: inout EncoderEffort, from start: Double = 0, seconds: Double, demand: (_ complexity: Int) -> Double
    ) -> [Int] {
        var limits: [Int] = []
        var used = Duration.zero
        for step in 0...Int(seconds * 100) {
            let now = MonotonicTime.zero + .seconds(start) + .milliseconds(10 * step)
            if effort.isDue(now), effort.measure(used: used, now: now) { limits.append(effort.limit) }
            used += .milliseconds(10) * min(demand(effort.limit), 1)
        }
        return limits
    }

    @Test("they work as they are set to while there is time", arguments: [0, 0.3, 0.79])
    func enough(share: Double) {
        var effort = EncoderEffort(within: 0...5)
        #expect(effort.limit == 5)
        #expect(run(&effort, seconds: 60) { _ in share } == [])
    }

    @Test("step by step less where time is short, and it settles: no step is taken back at once")
    func less() {
        var effort = EncoderEffort(within: 0...5)
        #expect(run(&effort, seconds: 60) { 0.5 + 0.07 * Double($0) } == [4])
        #expect(run(&effort, from: 60, seconds: 60) { 0.6 + 0.07 * Double($0) } == [3, 2])
    }

    @Test(
        "three steps at once where there is next to none, and never below what is allowed",
        arguments: zip([0, 1, 4, 5], [[2, 0], [2, 1], [4], []]))
    func overload(lowest: Int, limits: [Int]) {
        var effort = EncoderEffort(within: lowest...5)
        #expect(run(&effort, seconds: 10) { _ in 1.2 } == limits)
    }

    @Test("back again, a step in three seconds, when there is time for it")
    func more() {
        var effort = EncoderEffort(within: 0...5)
        _ = run(&effort, seconds: 3) { _ in 1 }
        #expect(effort.limit == 0)
        #expect(run(&effort, from: 10, seconds: 60) { _ in 0.2 } == [1, 2, 3, 4, 5])
    }

    @Test("a clock that stands still or a thread that was away says nothing")
    func oddTimes() {
        var effort = EncoderEffort(within: 0...5)
        for time in [0, 0, 0, 3600] {
            let changed = effort.measure(used: .seconds(1), now: .zero + .seconds(time))
            #expect(!changed)
        }
        #expect(effort.limit == 5)
    }
}
