import Logging
import PatchbayBuiltin
import PatchbayConfig
import PatchbayPlugin
import PatchbayTesting
import Signaling
import Synchronization
import Testing

@testable import PatchbayKit

@Suite("What the log has of callers who are refused", .timeLimit(.minutes(1)))
struct RefusalLogTests {
    private func line(_ message: String, _ log: RecordedLog) -> [String: String]? {
        log.lines.byMessage.withLock { $0[message]?.mapValues(\.description) }
    }

    @Test("is who refused a socket, why, and what it was for, and nothing secret")
    func socket() async throws {
        let log = RecordedLog()
        let router = try TestRouter(log: log)
        var request = TestRouter.request("/page/api/v1/ws/signaling/7/12", token: "hunter2")
        request.headers["referer"] = "https://ada:hunter2@shop.example:8443/a?token=hunter2"
        #expect(await router.status(request) == (403, ""))
        #expect(
            line("socket refused", log) == [
                "tenant": "page", "auth": "users", "code": "invalid_token", "reason": "Invalid or expired token",
                "detail": "a JWT has three parts, and this has 1", "workflow": "7", "run": "12",
                "address": "192.0.2.1", "origin": "https://shop.example:8443",
            ])
        request.headers["referer"] = "https://ada:\(String(repeating: "hunter2", count: 200))@shop.example/"
        #expect(await router.status(request) == (403, ""))
        #expect(line("socket refused", log)?["origin"] == "https://shop.example")
    }

    @Test("names the auth instance that let in whom something else refuses, or that could not tell")
    func authInstance() async throws {
        let log = RecordedLog()
        let router = try TestRouter(log: log)
        let unregistered = TestRouter.request("/r/api/v1/ws/signaling/7/12", token: try await router.token("7"))
        #expect(await router.status(unregistered).0 == 400)
        #expect(line("socket refused", log)?["auth"] == "users")
        #expect(line("socket refused", log)?["code"] == "bad_run")
        #expect(await router.status(TestRouter.request("/door/api/v1/ws/signaling/7/12")).0 == 503)
        #expect(line("socket refused", log)?["auth"] == "away")
        #expect(line("authentication failed", log)?["auth"] == "away")
    }

    @Test("is the host that no tenant has, cut, and that a path is no socket's")
    func host() async throws {
        let log = RecordedLog()
        let environment = CallSupervisor.Environment.test(media: NoMedia(), log: log)
        let plugins: [PluginRegistration] = .builtin
        let yaml = """
            version: 1
            pipelines: { echo: { type: echo } }
            tenants: { a: { match: { host: a.example }, allow_anonymous: true, pipeline: echo } }
            """
        let deployment = try Deployment(
            GatewayConfiguration.load(text: yaml, environment: [:], catalogue: plugins.catalogue), plugins: plugins,
            logger: environment.logger, wallClock: { .zero })
        let router = Router(served: CurrentDeployment(deployment), environment: environment)
        var request = TestRouter.request("/api/v1/ws/signaling/7/12", token: "hunter2")
        request.host = "b." + String(repeating: "x", count: 300)
        _ = await router.upgrade(request)
        #expect(
            line("socket refused", log) == [
                "code": "no_tenant", "reason": "no tenant matches host and path", "address": "192.0.2.1",
                "host": String(request.host.prefix(256)),
            ])
        request.method = "POST"
        #expect(await router.respond(to: request).status == 404)
        #expect(line("request refused", log)?["code"] == "no_tenant")
        request = TestRouter.request("/ws/signaling/7/12")
        request.host = "a.example"
        _ = await router.upgrade(request)
        #expect(line("socket refused", log)?["code"] == "no_socket")
        #expect(line("socket refused", log)?["tenant"] == "a")
        let counted = environment.registry.json(media: .null)
        #expect(counted["refused"] == ["no_tenant": 2, "no_socket": 1])
        #expect(counted["tenants"] == ["a": ["calls": 0, "sockets": 0, "started": 0, "refused": ["no_socket": 1]]])
    }

    @Test("is a page that gets no session, and a caller who gets no TURN credentials")
    func requests() async throws {
        let log = RecordedLog()
        let router = try TestRouter(log: log)
        var start = TestRouter.request("/page/api/v1/public/embed/init")
        start.method = "POST"
        start.headers["origin"] = "https://shop.example"
        start.body = Array(#"{"token":"emb_nobody"}"#.utf8)
        #expect(await router.router.respond(to: start).status == 404)
        #expect(
            line("request refused", log) == [
                "tenant": "page", "auth": "embeds", "code": "invalid_embed_token", "reason": "Invalid embed token",
                "address": "192.0.2.1", "origin": "https://shop.example",
            ])
        let turn = TestRouter.request("/page/api/v1/turn/credentials")
        #expect(await router.router.respond(to: turn).status == 401)
        #expect(
            line("TURN credentials refused", log) == [
                "tenant": "page", "code": "no_credential", "reason": "Missing authentication token",
                "address": "192.0.2.1",
            ])
        #expect(router.registry.json(media: .null)["refused"] == ["invalid_embed_token": 1, "no_credential": 1])
    }

    @Test("tells which embed token in the store cannot be read, and not what it is")
    func unreadableToken() async throws {
        let log = RecordedLog()
        let router = try TestRouter(log: log)
        let store = try #require(
            router.deployment.instances.first { $0.kind == .store && $0.name == "runs" }?.plugin as? MemoryStore)
        try await store.set("embed_token:token:emb_bad", Array("{}".utf8), timeToLive: nil)
        var start = TestRouter.request("/page/api/v1/public/embed/init")
        start.method = "POST"
        start.body = Array(#"{"token":"emb_bad"}"#.utf8)
        #expect(await router.router.respond(to: start).status == 404)
        let line = line("an embed token in the store cannot be read", log)
        #expect(line?["sha256"] == "f8765716")
        #expect(line?.values.contains { $0.contains("emb_bad") } == false)
    }

    @Test("is an offer, with the quota that denies it")
    func offer() async throws {
        let world = World()
        let socket = await world.socket()
        world.everyOffer.set(.denies)
        #expect(await socket.offer("PC-a") == [.quotaExceeded])
        #expect(
            line("offer refused", world.log) == [
                "tenant": world.tenant.name, "auth": "door", "quota": "credits", "code": "quota_exceeded",
                "reason": "No credits left", "workflow": "33", "run": "501", "user": "7",
            ])
        world.everyOffer.set(.admits)
        await socket.offer("PC-a")
        await socket.close()
        #expect(line("call ended", world.log)?["auth"] == "door")
    }

    @Test("is ten lines a second for a socket's offers and all else together")
    func budget() async throws {
        var environment = CallSupervisor.Environment.test(media: NoMedia())
        environment.now = { .zero }
        let world = World(environment: environment)
        let socket = await world.socket()
        world.everyOffer.set(.denies)
        for _ in 0..<9 { await socket.offer("PC-a") }
        #expect(environment.refusals.admit("", now: .zero) == 0)
        await socket.offer("PC-a")
        #expect(environment.refusals.admit("", now: .zero) == nil)
        #expect(environment.registry.json(media: .null)["refused"] == ["quota_exceeded": 10])
        await socket.close()
    }
}
