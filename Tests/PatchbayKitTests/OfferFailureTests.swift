import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import PatchbayKit

@Suite("Offers when a quota or the store cannot tell, and when many come at once", .timeLimit(.minutes(2)))
struct OfferFailureTests {
    private static let unavailable = Sent.error(
        "Could not look up the run. Please try again.", "workflow_run_unavailable")

    @Test("a quota of every offer that cannot tell")
    func everyOfferCannotTell() async throws {
        let world = World()
        let socket = await world.socket()
        world.everyOffer.set(.cannotTell)
        #expect(await socket.offer("PC-a") == [.quotaUnknown])
        #expect(world.newCall.asked == 0)
        #expect(try await world.leftovers() == [])
        world.everyOffer.set(.admits)
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
    }

    @Test("a quota of new calls that cannot tell")
    func newCallCannotTell() async throws {
        let world = World()
        let socket = await world.socket()
        world.newCall.set(.cannotTell)
        #expect(await socket.offer("PC-a") == [.noRoom])
        #expect(try await world.leftovers() == [])
        world.newCall.set(.admits)
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
    }

    @Test("a store that is away when the run is looked up")
    func lookUpFails() async throws {
        let store = MemoryStore()
        let world = World(store: store)
        let socket = await world.socket()
        await store.fail(with: CallerError("away"))
        #expect(await socket.offer("PC-a") == [Self.unavailable])
        #expect(world.newCall.asked == 0)
        await store.fail(with: nil)
        #expect(try await world.leftovers() == [])
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
    }

    @Test("a store that goes away between the look-up and the claim counts as a run that is taken")
    func claimFails() async throws {
        let store = MemoryStore()
        let world = World(store: store)
        let socket = await world.socket()
        world.newCall.onAsk { await store.fail(with: CallerError("away")) }
        #expect(await socket.offer("PC-a") == [.runActive])
        world.newCall.onAsk {}
        await store.fail(with: nil)
        #expect(try await world.leftovers() == [])
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
    }

    @Test(
        "a store that fails at any one operation of an offer: the next offer is answered",
        arguments: [(0, unavailable), (1, .runActive), (2, unavailable)])
    func oneOperationFails(operation: Int, refusal: Sent) async throws {
        let store = FaultyStore()
        let world = World(store: store)
        let socket = await world.socket()
        store.fail(operation..<operation + 1)
        let refused = await socket.offer("PC-a")
        #expect(refused == [refusal])
        store.fail(0..<0)
        #expect(try await world.leftovers() == [])
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
    }

    @Test("a store that does not take a new run's first writing does not stop its call")
    func beginFails() async throws {
        let store = FaultyStore()
        let world = World(store: store)
        let socket = await world.socket()
        store.fail(3..<4)
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
        #expect(try await world.tenant.runs.find(501, owner: .user("7"))?.hasEnded == true)
        #expect(try await world.leftovers() == [])
    }

    @Test("an offer that is not answered leaves no run behind")
    func nothingWritten() async throws {
        let world = World()
        let socket = await world.socket()
        #expect(await socket.offer("PC-a", "bad").count == 1)
        #expect(try await world.tenant.runs.find(501, owner: .user("7")) == nil)
        #expect(try await world.leftovers() == [])
    }

    @Test("a run that became another workflow's while the socket was open is not called")
    func runOfAnotherWorkflow() async throws {
        let world = World()
        let socket = await world.socket()
        let other = WorkflowRun(id: 501, owner: .user("7"), workflowID: World.workflow + 1)
        #expect(try await world.tenant.runs.add(other))
        #expect(
            await socket.offer("PC-a")
                == [.error("workflow_run_workflow_mismatch", "workflow_run_workflow_mismatch")])
        #expect(try await world.leftovers() == [])
    }

    @Test("a run is kept as long after its end as it says")
    func keptAsItSays() async throws {
        let clock = TestClock()
        let world = World(store: MemoryStore(clock: clock))
        var run = world.run()
        run.timeToLive = .seconds(60)
        #expect(try await world.tenant.runs.add(run))
        let socket = await world.socket()
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
        clock.advance(by: .seconds(59))
        #expect(try await world.tenant.runs.find(501, owner: .user("7"))?.hasEnded == true)
        clock.advance(by: .seconds(1))
        #expect(try await world.tenant.runs.find(501, owner: .user("7")) == nil)
    }

    @Test("a store that is away at the call's end keeps no lease and no name")
    func endFails() async throws {
        let store = FaultyStore()
        let world = World(store: store)
        let socket = await world.socket()
        await socket.offer("PC-a")
        store.fail(0..<Int.max)
        #expect(await socket.close() == [.callEnded("PC-a", run: 501, reason: "socket_closed"), .closedAfterCall])
        #expect(try await world.leftovers(runs: []) == [])
    }

    @Test("while the gateway drains new calls are refused, and live ones are answered still")
    func draining() async throws {
        let world = World()
        let (live, new) = (await world.socket(), await world.socket(run: 502))
        await live.offer("PC-a")
        world.environment.registry.drain()
        let refusal = Sent.error(
            "The server is about to restart. Please try again in a moment.", "server_draining")
        #expect(await new.offer("PC-b") == [refusal])
        #expect(await live.offer("PC-a", "v=1") == Sent.answer("PC-a", to: "v=1"))
        await live.close()
        await new.close()
        #expect(try await world.leftovers(runs: [501, 502]) == [])
    }

    @Test("of 200 sockets that offer one run at once one has the call", arguments: [true, false])
    func race(sameName: Bool) async throws {
        let world = World()
        var sockets: [TestSocket] = []
        for _ in 0..<200 { sockets.append(await world.socket()) }
        let replies = await withTaskGroup(of: [Sent].self) { group in
            for (number, socket) in sockets.enumerated() {
                group.addTask { await socket.offer(sameName ? "PC-a" : "PC-\(number)") }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(replies.count { $0.count == 2 } == 1)
        let refusals = replies.filter { $0.count == 1 }
        #expect(refusals.count == 199)
        #expect(refusals.allSatisfy { $0 == [.runActive] || (sameName && $0 == [.alreadyOwned]) })
        #expect((world.leases, world.media.load, world.newCall.held.count) == (2, 1, 1))
        for socket in sockets { await socket.close() }
        #expect(try await world.leftovers(names: ["PC-a"] + (0..<200).map { "PC-\($0)" }) == [])
        #expect(try await world.tenant.runs.find(501, owner: .user("7"))?.hasEnded == true)
    }
}
