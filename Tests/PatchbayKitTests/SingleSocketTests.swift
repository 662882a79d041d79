import Logging
import PatchbayPlugin
import PatchbayTesting
import Signaling
import Synchronization
import TestSupport
import Testing

@testable import PatchbayKit

@Suite("Callers with one socket at a time", .timeLimit(.minutes(1)))
struct SingleSocketTests {
    private let sockets = SingleSockets()
    private let caller = CallRegistry.PeerName(tenant: "default", principal: .user("7"), pcID: "")

    /// How a socket turns out when it is asked.
    private final class Line: Sendable {
        let isLost = Mutex(false)
        let isClosed = Mutex(false)

        var client: SignalingSession.Client {
            SignalingSession.Client(
                send: { _, _ in }, close: { _, _ in }, isLost: { [self] in isLost.withLock { $0 } },
                isClosed: { [self] in isClosed.withLock { $0 } })
        }
    }

    @Test("a socket that is alive keeps the caller's others out, and nobody else's")
    func alive() async throws {
        let first = try #require(await sockets.take(caller))
        first.open(Line().client)
        #expect(await sockets.take(caller) == nil)
        let stranger = CallRegistry.PeerName(tenant: "default", principal: .user("8"), pcID: "")
        let other = try #require(await sockets.take(stranger))
        #expect(sockets.count == 2)
        sockets.leave(other, of: stranger)
        sockets.leave(first, of: caller)
        #expect(sockets.count == 0)
        #expect(await sockets.take(caller) != nil)
    }

    @Test("one that is lost or closed makes way, and does not take its heir's place along", arguments: [true, false])
    func gone(isLost: Bool) async throws {
        let line = Line()
        let first = try #require(await sockets.take(caller))
        first.open(line.client)
        if isLost { line.isLost.withLock { $0 = true } } else { line.isClosed.withLock { $0 = true } }
        let second = try #require(await sockets.take(caller))
        second.open(Line().client)
        sockets.leave(first, of: caller)
        #expect(sockets.count == 1)
        #expect(await sockets.take(caller) == nil)
    }

    @Test("a handshake that is under way is waited for", arguments: [true, false])
    func handshake(comesTrue: Bool) async throws {
        let first = try #require(await sockets.take(caller))
        let second = Task { await sockets.take(caller) }
        try await Task.sleep(for: .milliseconds(20))
        #expect(sockets.count == 1)
        if comesTrue { first.open(Line().client) } else { sockets.leave(first, of: caller) }
        #expect(await (second.value == nil) == comesTrue)
    }

    @Test("an embed session's second handshake waits for the first, and is let in when that comes to nothing")
    func embedSession() async throws {
        let test = try TestRouter()
        var start = TestRouter.request("/page/api/v1/public/embed/init")
        (start.method, start.body) = ("POST", Array(#"{"token":"emb_demo"}"#.utf8))
        let session = try JSONValue(parsing: await test.router.respond(to: start).body)["session_token"]?.string
        let request = TestRouter.request(
            "/page/api/v1/ws/public/signaling/\(Leaks.secret("a session token", try #require(session)))")
        var first: Upgrade? = await test.router.upgrade(request)
        guard case .accept = first else {
            Issue.record("the first was refused")
            return
        }
        #expect(test.router.single.count == 1)
        async let second = test.status(request)
        first = nil
        #expect(await second == (101, ""))
        #expect(first == nil && test.router.single.count == 0)
    }

    @Test("a session's socket keeps other gateways out for as long as it is there, and another gateway's keeps it out")
    func otherGateways() async throws {
        let test = try TestRouter()
        var start = TestRouter.request("/page/api/v1/public/embed/init")
        (start.method, start.body) = ("POST", Array(#"{"token":"emb_demo"}"#.utf8))
        let answer = try JSONValue(parsing: await test.router.respond(to: start).body)
        let session = Leaks.secret("a session token", try #require(answer["session_token"]?.string))
        let run = try #require(answer["workflow_run_id"]?.integer)
        let request = TestRouter.request("/page/api/v1/ws/public/signaling/\(session)")
        let runs = try test.runs("page")
        func isTaken() async throws -> Bool {
            let isFree = try await runs.claimSocket(run, owner: .embedToken("emb_demo"), gateway: "other")
            return !isFree
        }
        func leave() async throws {
            try await runs.releaseSocket(run, owner: .embedToken("emb_demo"), gateway: "other")
        }

        #expect(try await !isTaken())
        #expect(await test.status(request) == (403, ""))
        #expect(test.router.single.count == 0)
        try await leave()
        var socket: Upgrade? = await test.router.upgrade(request)
        guard case .accept = socket else {
            Issue.record("it was refused")
            return
        }
        #expect(try await isTaken())
        socket = nil
        #expect(try await eventually { try await !isTaken() })
        #expect(await test.status(request) == (403, ""))
        // A gateway that was killed.
        test.clock.advance(by: WorkflowRuns.claimLifetime)
        #expect(await test.status(request) == (101, ""))
    }

    @Test(
        "one that was given back does not take its heir's claim along, and one that is given back while it claims claims nothing"
    )
    func heirs() async throws {
        let test = try TestRouter()
        let tenant = try #require(test.deployment.tenants.first { $0.name == "page" })
        let principal = Principal(id: "emb_demo", runOwner: .embedToken("emb_demo"))
        let target = SignalingSession.Target(principal: principal, workflowID: 33, workflowRunID: 5)
        let log = Logger.watched
        func place() async throws -> SharedPlace {
            let here = try #require(await sockets.take(caller))
            return SharedPlace(here, of: caller, in: sockets, target, tenant, "this", log)
        }
        func isTaken() async throws -> Bool {
            let isFree = try await tenant.runs.claimSocket(5, owner: .embedToken("emb_demo"), gateway: "other")
            if isFree { try await tenant.runs.releaseSocket(5, owner: .embedToken("emb_demo"), gateway: "other") }
            return !isFree
        }

        let first = try await place()
        #expect(await first.claim())
        first.here.open(Line().client)
        sockets.leave(first.here, of: caller)
        let second = try await place()
        #expect(await second.claim())
        await first.leave()
        #expect(try await isTaken())
        await second.leave()
        #expect(try await !isTaken())
        await second.keep()
        await second.leave()
        #expect(try await !isTaken())
        #expect(sockets.count == 0)
    }

    @Test("a signed-in caller has as many as it likes")
    func signedIn() async throws {
        let test = try TestRouter()
        let request = TestRouter.request("/api/v1/ws/signaling/33/501", token: try await test.token("7", "acme"))
        let first = await test.router.upgrade(request)
        #expect(await test.status(request) == (101, ""))
        #expect(test.router.single.count == 0)
        withExtendedLifetime(first) {}
    }
}
