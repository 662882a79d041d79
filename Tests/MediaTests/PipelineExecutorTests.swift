import Dispatch
import Foundation
import Synchronization
import Testing

@testable import Media

@Suite("The threads of pipelines")
struct PipelineExecutorTests {
    @Test("10 000 jobs from several threads all run, on those threads")
    func all() async {
        let (jobs, elsewhere) = (Tally(), Tally())
        await withTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    await withTaskGroup { group in
                        for _ in 0..<2500 {
                            group.addTask(executorPreference: PipelineExecutor.shared) {
                                jobs.add()
                                if threadName() != "pipeline" { elsewhere.add() }
                            }
                        }
                    }
                }
            }
        }
        #expect(jobs.value == 10_000)
        #expect(elsewhere.value == 0)
    }

    @Test("a job that blocks does not hold up the others")
    func blocked() async throws {
        let gate = DispatchSemaphore(value: 0)
        let (blocked, jobs) = (Tally(), Tally())
        let task = Task.detached(executorPreference: PipelineExecutor.shared) {
            blocked.add()
            block(on: gate)
        }
        try await eventually { blocked.value == 1 }
        for _ in 0..<100 {
            Task.detached(executorPreference: PipelineExecutor.shared) { jobs.add() }
        }
        try await eventually { jobs.value == 100 }
        gate.signal()
        await task.value
    }
}

private final class Tally: Sendable {
    private let count = Mutex(0)

    var value: Int { count.withLock(\.self) }

    func add() { count.withLock { $0 += 1 } }
}

private func threadName() -> String? {
    try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8).trimmingCharacters(in: .newlines)
}

private func block(on gate: DispatchSemaphore) { gate.wait() }
