import PatchbayPlugin
import Synchronization
import Testing

@Suite("Errands", .timeLimit(.minutes(1)))
struct ErrandsTests {
    /// Somebody who listens or does not.
    private final class Listener: Sendable {
        struct Deaf: Error {}

        private let state = Mutex((listens: false, asked: 0))

        var asked: Int { state.withLock(\.asked) }

        func listen() {
            state.withLock { $0.listens = true }
        }

        func hear() throws {
            let listens = state.withLock { state in
                state.asked += 1
                return state.listens
            }
            if !listens { throw Deaf() }
        }

        func wasAsked(_ times: Int) async throws -> Bool {
            for _ in 0..<2_000 where asked < times { try await Task.sleep(for: .milliseconds(5)) }
            return asked == times
        }
    }

    private let errands = Errands()
    private let listener = Listener()

    private func run(for time: Duration = .seconds(3_600)) {
        errands.run("a", for: time) { [listener] in try listener.hear() }
    }

    @Test("are tried until somebody listens, and then no more")
    func untilHeard() async throws {
        run()
        #expect(try await listener.wasAsked(1))
        listener.listen()
        #expect(try await listener.wasAsked(2))
        await errands.finish()
        #expect(listener.asked == 2)
    }

    @Test("are given up when their time is over")
    func givenUp() async throws {
        run(for: .milliseconds(50))
        #expect(try await listener.wasAsked(2))
        await errands.finish()
        #expect(listener.asked == 2)
    }

    @Test("are tried once more at the end, and then done")
    func finish() async throws {
        run()
        #expect(try await listener.wasAsked(1))
        await errands.finish()
        #expect(listener.asked == 2)
        await errands.finish()
        #expect(listener.asked == 2)
    }

    @Test("that are dropped are not tried any more, nor those that another of their name follows")
    func dropped() async throws {
        run()
        #expect(try await listener.wasAsked(1))
        errands.drop("a")
        await errands.finish()
        run()
        #expect(try await listener.wasAsked(2))
        run()
        #expect(try await listener.wasAsked(3))
        await errands.finish()
        #expect(listener.asked == 4)
    }
}
