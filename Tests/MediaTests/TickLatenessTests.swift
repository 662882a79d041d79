import Audio
import Glibc
import Media
import Synchronization
import Testing
import WebRTC
import Wire

@Suite("The send tick", .serialized)
struct TickLatenessTests {
    private static let calls = 10

    @Test(
        "is late by at most 5 ms in 99 of 100 cases while four pipelines compute without pause",
        .enabled(if: mayBeRealTime(), "without CAP_SYS_NICE the loops stand in line with what computes"),
        .timeLimit(.minutes(1)))
    func beatsPipelines() async throws {
        let (calling, called) = (try makeEngine(loops: Self.calls), try makeEngine(loops: 2))
        defer { for engine in [calling, called] { engine.stop() } }
        var calls: [EngineCall] = []
        for _ in 0..<Self.calls { calls.append(try await EngineCall(from: calling, to: called)) }
        try await eventually { calls.allSatisfy(\.isConnected) }
        for call in calls {
            try await call.caller.output.play(tone(milliseconds: 10_000))
            try await call.callee.output.play(tone(milliseconds: 10_000))
        }
        let before = await called.counters().tickLateness.count
        try await withThrowingTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    while !Task.isCancelled {
                        compute(milliseconds: 100)
                        await Task.yield()
                    }
                }
            }
            try await Task.sleep(for: .seconds(5))
            group.cancelAll()
        }
        let lateness = await called.counters().tickLateness
        let (p50, p99) = (try #require(lateness.percentile(0.5)), try #require(lateness.percentile(0.99)))
        print(
            "send tick: p50 \(p50) ms, p99 \(p99) ms, longest \(lateness.longest.milliseconds) ms of \(lateness.count)")
        #expect(lateness.count - before >= Self.calls * 5 * 45)
        #expect(p99 <= 5)
    }
}

/// Whether threads of this process may have the priority that media loops ask for.
private func mayBeRealTime() -> Bool {
    var (lowest, none) = (sched_param(), sched_param())
    lowest.sched_priority = 1
    guard unsafe sched_setscheduler(0, SCHED_RR, &lowest) == 0 else { return false }
    unsafe sched_setscheduler(0, SCHED_OTHER, &none)
    return true
}

func compute(milliseconds: Int) {
    let end = MonotonicTime.now() + .milliseconds(milliseconds)
    var word: UInt64 = 1
    while MonotonicTime.now() < end {
        for _ in 0..<10_000 { word = word &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407 }
        sink.store(word, ordering: .relaxed)
    }
}

/// So that the computing is not optimised away.
private let sink = Atomic<UInt64>(0)
