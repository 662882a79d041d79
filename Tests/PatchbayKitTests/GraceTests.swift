import Logging
import PatchbayPlugin
import Synchronization
import Testing
import WebRTC

@testable import PatchbayKit

@Suite("A socket that is lost", .timeLimit(.minutes(2)))
struct GraceTests {
    private static let line = "candidate:1 1 udp 2122260223 203.0.113.9 45406 typ host"

    private static func renegotiate(restart: Bool) -> String {
        #"{"type":"renegotiate","payload":{"pc_id":"PC-a","sdp":"v=1","type":"offer","restart_pc":\#(restart)}}"#
    }

    private static let candidate =
        #"{"type":"ice-candidate","payload":{"pc_id":"PC-a","candidate":{"candidate":"\#(line)","sdpMid":"0"}}}"#

    /// A call whose socket is lost.
    private func detached(_ world: World, user: Principal = .user("7")) async -> TestSocket {
        let socket = await TestSocket(world, user)
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        #expect(await socket.close(code: 1006) == [])
        return socket
    }

    private func states(_ world: World) -> [JSONValue?] {
        guard case .array(let calls)? = world.environment.registry.json(media: .null)["calls"] else { return [] }
        return calls.map { $0["state"] }
    }

    /// Why the call ended, as the log has it when all is given back.
    private func endReason(_ world: World) async -> String? {
        var reason: String?
        _ = await eventually {
            reason = world.log.lines.byMessage.withLock { $0["call ended"]?["reason"]?.description }
            return reason != nil
        }
        return reason
    }

    @Test("one that is closed on purpose ends its call at once", arguments: [1000, 1001, 1005, 1008, 1011, 1012, 4000])
    func onPurpose(code: UInt16) async throws {
        let world = World()
        let socket = await world.socket()
        await socket.offer("PC-a")
        let end = [Sent.callEnded("PC-a", run: 501, reason: "socket_closed"), .closedAfterCall]
        #expect(await socket.close(code: code) == end)
        #expect(try await world.leftovers() == [])
        #expect(await endReason(world) == "socket_closed")
    }

    @Test("keeps its call, with all that it holds, and ends it when nobody returns")
    func nobodyReturns() async throws {
        let world = World(grace: .milliseconds(1500))
        let lost = ContinuousClock.now
        _ = await detached(world)
        #expect((world.leases, world.media.load) == (2, 1))
        #expect(states(world) == ["detached"])
        #expect(try await !world.tenant.runs.claim(501, owner: .user("7"), callID: "another"))
        #expect(try await eventually { try await world.leftovers() == [] })
        #expect(ContinuousClock.now - lost >= .milliseconds(1500))
        #expect(await endReason(world) == "socket_lost")
        let late = await world.socket()
        #expect(await late.offer("PC-a") == [.runCompleted])
        await late.close()
    }

    @Test(
        "with a window of nothing, or of a caller whom nobody knows, ends its call at once", arguments: [false, true])
    func noWindow(isAnonymous: Bool) async throws {
        let world = World(grace: isAnonymous ? .seconds(60) : .zero)
        let socket = await TestSocket(world, isAnonymous ? Principal(id: "7") : .user("7"))
        await socket.offer("PC-a")
        let other = await TestSocket(world, isAnonymous ? Principal(id: "7") : .user("7"))
        socket.set(isLost: true)
        #expect(await other.offer("PC-a") == [.alreadyOwned])
        #expect(socket.timesAsked == 0)
        let end = [Sent.callEnded("PC-a", run: 501, reason: "socket_closed"), .closedAfterCall]
        #expect(await socket.close(code: 1006) == end)
        #expect(try await world.leftovers() == [])
        await other.close()
    }

    @Test(
        "is made good by any message of its caller's about the call, and the call is the new socket's",
        arguments: [
            (TestSocket.offer("PC-a", "v=1"), Sent.answer("PC-a", to: "v=1")),
            (renegotiate(restart: false), Sent.answer("PC-a", to: "v=1")),
            (renegotiate(restart: true), Sent.answer("PC-a", to: "v=1")),
            (TestSocket.offer("PC-a", "bad"), [.badOffer]),
            (candidate, []),
            (TestSocket.getStatistics("PC-a"), [.statistics("PC-a", .init())]),
        ])
    func returns(message: String, reply: [Sent]) async throws {
        let world = World()
        let former = await detached(world)
        let (held, asked) = (world.newCall.held, world.newCall.asked)
        let socket = await world.socket()
        #expect(!socket.hasCalled)
        #expect(await socket.send(message) == reply)
        #expect(socket.hasCalled)
        #expect(states(world) == ["connecting"])
        #expect((world.newCall.held, world.newCall.asked) == (held, asked))
        #expect((world.leases, world.media.load) == (2, 1))
        // Events and the end go to the new socket.
        let call = try #require(world.pipelines.calls.withLock { $0["7"] })
        call.report(.botText(SpokenText("again")))
        call.hangUp(reason: "enough")
        #expect(await eventually { socket.sent.count == 3 })
        let event = Sent(#"{"type":"rtf-bot-text","payload":{"text":"again"}}"#)
        #expect(socket.take() == [event, .callEnded("PC-a", run: 501, reason: "enough"), .closedAfterCall])
        #expect(former.sent == [])
        await socket.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("events of a call that nobody hears are lost")
    func events() async throws {
        let world = World()
        _ = await detached(world)
        #expect(await eventually { world.pipelines.calls.withLock { $0["7"] } != nil })
        let call = try #require(world.pipelines.calls.withLock { $0["7"] })
        call.report(.botText(SpokenText("to nobody")))
        let socket = await world.socket()
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        #expect(socket.sent == [])
        await socket.close()
    }

    @Test("the offer of who returns is held to the quotas of every offer; a denial ends nothing")
    func recheck() async throws {
        let world = World()
        _ = await detached(world)
        world.everyOffer.set(.denies)
        let socket = await world.socket()
        #expect(await socket.offer("PC-a") == [.quotaExceeded])
        #expect((world.leases, world.media.load) == (2, 1))
        world.everyOffer.set(.admits)
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("a caller may return again and again, and hang up in the end", arguments: [1006, 1000])
    func again(code: UInt16) async throws {
        // Longer in all than the window, which is wide enough for a machine that does much beside.
        let world = World(grace: .seconds(6))
        _ = await detached(world)
        for number in 1...4 {
            try await Task.sleep(for: .seconds(2))
            let socket = await world.socket()
            #expect(await socket.offer("PC-a", "v=\(number)") == Sent.answer("PC-a", to: "v=\(number)"))
            await socket.close(code: number == 4 ? code : 1006)
        }
        if code == 1006 { #expect(states(world) == ["detached"]) }
        #expect(try await eventually { try await world.leftovers() == [] })
        #expect(await endReason(world) == (code == 1006 ? "socket_lost" : "socket_closed"))
    }

    @Test("who is somebody else cannot return, and hears what it would hear if there were no such call")
    func strangers() async throws {
        var organized = Principal(id: "7", organization: "acme")
        organized.authInstance = "door"
        var (colleague, namesake, session, otherSession) = (organized, organized, organized, organized)
        colleague.id = "8"
        namesake.authInstance = "back door"
        (session.workflowRunID, otherSession.workflowRunID) = (501, 502)
        let pairs: [(owner: Principal, stranger: Principal)] = [
            (.user("7"), .user("8")), (.user("7"), organized), (organized, colleague), (organized, namesake),
            (organized, Principal(id: "7", organization: "acme")), (session, otherSession), (session, organized),
        ]
        for (owner, stranger) in pairs {
            for isLost in [true, false] {
                let world = World()
                let first = await TestSocket(world, owner)
                await first.offer("PC-a")
                first.set(isLost: isLost)
                if isLost { await first.close(code: 1006) }
                let socket = await TestSocket(world, stranger, run: 502)
                for message in [Self.renegotiate(restart: false), TestSocket.getStatistics("PC-a")] {
                    #expect(await socket.send(message) == [.notFound])
                }
                #expect(await socket.send(Self.candidate) == [])
                #expect(world.media.candidates.withLock { $0 } == [])
                #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
                #expect((first.timesAsked, world.media.load) == (0, 2))
                await socket.close()
                let back = await TestSocket(world, owner)
                if isLost {
                    #expect(await back.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
                } else {
                    await first.close()
                }
                await back.close()
                #expect((world.leases, world.media.load) == (0, 0))
            }
        }
    }

    @Test("another tenant's user of the same name is somebody else")
    func otherTenant() async throws {
        let world = World()
        _ = await detached(world)
        let socket = await TestSocket(world, .user("7"), tenant: .test(name: "other"))
        #expect(await socket.send(TestSocket.getStatistics("PC-a")) == [.notFound])
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        #expect(world.media.load == 2)
        await socket.close()
        #expect(states(world) == ["detached"])
        let back = await world.socket()
        await back.offer("PC-a")
        await back.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("its caller cannot return with another run")
    func otherRun() async throws {
        let world = World()
        _ = await detached(world)
        let socket = await world.socket(run: 502)
        #expect(await socket.send(TestSocket.getStatistics("PC-a")) == [.notFound])
        #expect(await socket.offer("PC-a") == [.alreadyOwned])
        #expect(states(world) == ["detached"])
        // Nor with another name for the connection.
        let second = await world.socket()
        #expect(await second.offer("PC-b") == [.runActive])
        #expect(await second.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
        await second.close()
        #expect(try await world.leftovers(runs: [501, 502]) == [])
    }

    @Test("of two calls on it one may be returned to and the other not")
    func twoCalls() async throws {
        // A name of its own for each, as a session has one run and one call.
        let world = World(grace: .seconds(2))
        let socket = await world.socket()
        await socket.offer("PC-a")
        try await world.tenant.runs.release(501, owner: .user("7"), callID: try #require(world.newCall.held.first))
        #expect(await socket.offer("PC-b") == Sent.answer("PC-b", to: "v=0"))
        await socket.close(code: 1006)
        #expect(states(world) == ["detached", "detached"])
        let back = await world.socket()
        #expect(await back.offer("PC-b", "v=1") == Sent.answer("PC-b", to: "v=1"))
        #expect(await eventually { world.media.load == 1 })
        #expect(states(world) == ["connecting"])
        #expect(back.sent == [])
        await back.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("leaves its call free to end by itself", arguments: ["pipeline", "media"])
    func endsByItself(what: String) async throws {
        let world = World()
        _ = await detached(world)
        if what == "pipeline" {
            #expect(await eventually { world.pipelines.calls.withLock { $0["7"] } != nil })
            world.pipelines.calls.withLock { $0["7"] }?.hangUp(reason: "enough")
        } else {
            for leg in world.environment.registry.legs.values { leg.close() }
        }
        #expect(try await eventually { try await world.leftovers() == [] })
        let socket = await world.socket()
        #expect(await socket.offer("PC-a") == [.runCompleted])
        await socket.close()
    }

    @Test("that nobody has noticed yet is noticed when its caller is back, and the call moves")
    func halfOpen() async throws {
        let world = World()
        let silent = await world.socket()
        await silent.offer("PC-a")
        silent.set(isLost: nil)
        let socket = await world.socket()
        async let reply = socket.offer("PC-a", "v=1")
        #expect(await eventually { silent.timesAsked == 1 })
        try await Task.sleep(for: .milliseconds(50))
        #expect(socket.sent == [])
        silent.set(isLost: true)
        #expect(await reply == Sent.answer("PC-a", to: "v=1"))
        // What still arrives from there is not about this call any more.
        #expect(await silent.offer("PC-a", "v=2") == [])
        #expect(await silent.close(code: 1006) == [])
        #expect((world.leases, world.media.load) == (2, 1))
        #expect(states(world) == ["connecting"])
        await socket.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("that is alive keeps its call, whoever asks")
    func alive() async throws {
        let world = World()
        let live = await world.socket()
        await live.offer("PC-a")
        let socket = await world.socket()
        #expect(await socket.offer("PC-a") == [.alreadyOwned])
        #expect(await socket.send(Self.renegotiate(restart: true)) == [.notFound])
        #expect(await socket.send(TestSocket.getStatistics("PC-a")) == [.notFound])
        #expect(await socket.send(Self.candidate) == [])
        world.everyOffer.set(.denies)
        #expect(await socket.offer("PC-a") == [.quotaExceeded])
        #expect(live.timesAsked == 5)
        await socket.close()
        #expect((live.sent, world.media.load) == ([], 1))
        await live.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("of two who return at once one has the call, and it is owned for the other")
    func twoAtOnce() async throws {
        for trial in 0..<50 {
            let world = World()
            let former = await world.socket()
            await former.offer("PC-a")
            former.set(isLost: true)
            if trial % 2 == 0 { await former.close(code: 1006) }
            let sockets = [await world.socket(), await world.socket()]
            async let first = sockets[0].offer("PC-a")
            async let second = sockets[1].offer("PC-a")
            let replies = await [first, second]
            #expect(replies.contains([.alreadyOwned]) && replies.contains(Sent.answer("PC-a", to: "v=0")))
            #expect(world.media.load == 1)
            for socket in sockets { await socket.close() }
            #expect(try await world.leftovers() == [])
        }
    }

    @Test("two that are lost, and each asked for the other's call, do not wait for each other")
    func across() async throws {
        let world = World(grace: .seconds(1))
        let (one, other) = (await world.socket(), await world.socket(run: 502))
        await one.offer("PC-a")
        await other.offer("PC-b")
        let returns = [await world.socket(run: 502), await world.socket()]
        for socket in [one, other] + returns { socket.set(isLost: true) }
        // The sockets on which the caller is back are silent as well.
        await returns[0].offer("PC-b")
        await returns[1].offer("PC-a")
        let (third, fourth) = (await world.socket(), await world.socket(run: 502))
        async let a = third.offer("PC-a")
        async let b = fourth.offer("PC-b")
        #expect(await (a, b) == (Sent.answer("PC-a", to: "v=0"), Sent.answer("PC-b", to: "v=0")))
        for socket in [one, other] + returns { await socket.close(code: 1006) }
        await third.close()
        await fourth.close()
        #expect(try await world.leftovers(runs: [501, 502]) == [])
    }

    @Test("who returns as the window closes has the call or hears that it is over, and nothing is left behind")
    func race() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for trial in 0..<200 {
                group.addTask {
                    let world = World(grace: .milliseconds(1000))
                    _ = await detached(world)
                    let socket = await world.socket()
                    try await Task.sleep(for: .milliseconds(990 + trial / 10))
                    let reply = await socket.offer("PC-a")
                    if reply == [.runCompleted] {
                        #expect(await socket.close() == [])
                    } else {
                        #expect(reply == Sent.answer("PC-a", to: "v=0"))
                        try await Task.sleep(for: .milliseconds(1200))
                        #expect(states(world) == ["connecting"])
                        let end = [Sent.callEnded("PC-a", run: 501, reason: "socket_closed"), .closedAfterCall]
                        #expect(await socket.close() == end)
                    }
                    #expect(try await world.leftovers() == [])
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("a call that is given up is over before who comes too late is answered")
    func tooLate() async throws {
        let world = World()
        _ = await detached(world)
        let name = CallRegistry.PeerName(tenant: world.tenant.name, principal: .user("7"), pcID: "PC-a")
        let client = try #require(world.environment.registry.client(name))
        let call = try #require(client.abandon())
        let socket = await world.socket()
        async let reply = socket.offer("PC-a")
        try await Task.sleep(for: .milliseconds(50))
        #expect(socket.sent == [])
        call.hangUp(reason: "socket_lost")
        #expect(await reply == [.runCompleted])
        await socket.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("when the gateway stops, calls that nobody has returned to end")
    func stop() async throws {
        let world = World()
        _ = await detached(world)
        world.environment.registry.drain()
        await world.environment.registry.endAbandoned()
        #expect(try await world.leftovers() == [])
        #expect(await endReason(world) == "server_stopped")
    }

    @Test("while the gateway drains its caller may return, and only that")
    func draining() async throws {
        let test = try TestRouter()
        let tenant = try #require(test.deployment.tenants.first { $0.name == "open" })
        let token = try await test.token("7", "acme")
        var connect = ConnectRequest(tenant: tenant.name, runs: tenant.runs)
        connect.bearerToken = token
        guard case .accept(let principal) = try await tenant.authenticate(connect) else {
            Issue.record("the token is not good")
            return
        }
        let world = World(environment: test.router.environment)
        let socket = await TestSocket(world, principal, tenant: tenant)
        await socket.offer("PC-a")
        await socket.close(code: 1006)
        test.registry.drain()
        func status(_ run: Int, _ token: String) async -> Int {
            await test.status(TestRouter.request("/api/v1/ws/signaling/33/\(run)", token: token)).0
        }
        #expect(await status(501, token) == 101)
        #expect(await status(502, token) == 503)
        #expect(await status(501, try await test.token("8", "acme")) == 503)
        #expect(await status(501, "nonsense") == 503)
        let back = await TestSocket(world, principal, tenant: tenant)
        #expect(await back.offer("PC-b") == [.error(Denial.draining.message, Denial.draining.code)])
        #expect(await back.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await back.close()
        #expect(test.registry.isEmpty)
    }
}
