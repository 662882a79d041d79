internal import CSocket
import Dispatch
import Foundation
import Synchronization

/// Threads that run pipelines and nothing else, one for each core.
///
/// On the pool that all tasks share, a pipeline that computes without a pause would hold up signaling, and waking a
/// pipeline would allocate on the media loop's thread. Here it is an entry in a ring and a semaphore.
package final class PipelineExecutor: TaskExecutor {
    package static let shared = PipelineExecutor(threads: max(2, ProcessInfo.processInfo.activeProcessorCount))

    private struct State {
        var jobs = JobRing()
        var asleep = 0
        /// A thread has been woken and is not there yet: it wakes the next one where that is needed.
        var isWaking = false
    }

    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)

    private init(threads: Int) {
        for _ in 0..<threads {
            Thread { [self] in
                // Foundation's own name for a thread is lost when the thread begins before `start` returns.
                unsafe csocket_name_thread("pipeline")
                run()
            }.start()
        }
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let wakes = state.withLock { state in
            state.jobs.append(job)
            return Self.wakesOne(&state)
        }
        if wakes { wake.signal() }
    }

    private static func wakesOne(_ state: inout State) -> Bool {
        guard state.asleep > 0, !state.isWaking else { return false }
        state.isWaking = true
        state.asleep -= 1
        return true
    }

    private func run() -> Never {
        while true {
            let (job, wakes) = state.withLock { state in
                let job = state.jobs.popFirst()
                if job == nil { state.asleep += 1 }
                return (job, state.jobs.count > 0 && Self.wakesOne(&state))
            }
            if wakes { wake.signal() }
            if let job {
                unsafe job.runSynchronously(on: asUnownedTaskExecutor())
            } else {
                wake.wait()
                state.withLock { $0.isWaking = false }
            }
        }
    }
}

/// A queue of jobs that keeps its memory.
private struct JobRing {
    private var jobs = [UnownedJob?](repeating: nil, count: 1024)
    private var first = 0
    private(set) var count = 0

    mutating func append(_ job: UnownedJob) {
        if count == jobs.count { grow() }
        jobs[(first + count) % jobs.count] = job
        count += 1
    }

    mutating func popFirst() -> UnownedJob? {
        guard count > 0 else { return nil }
        defer {
            jobs[first] = nil
            first = (first + 1) % jobs.count
            count -= 1
        }
        return jobs[first]
    }

    private mutating func grow() {
        jobs = Array(jobs[first...] + jobs[..<first]) + [UnownedJob?](repeating: nil, count: jobs.count)
        first = 0
    }
}
