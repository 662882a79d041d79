import PatchbayBuiltin
import PatchbayConfig
import PatchbayPlugin
import PatchbayTesting
import Synchronization
import TestSupport
import Testing

@testable import PatchbayKit

/// Lets everybody in, and thinks better of it when a test says so.
private final class FickleAuth: AuthPlugin {
    static let type = "fickle"
    static let summary = "Does what a test says."

    enum Mood: Sendable {
        case content, withdraws, cannotTell
    }

    let mood = Mutex(Mood.content)
    let asked = Mutex(0)

    init() {}

    init(settings: NoSettings, context: PluginContext) {}

    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome { .accept(Principal(id: "7")) }

    func recheck(_ principal: Principal) async throws -> Denial? {
        asked.withLock { $0 += 1 }
        switch mood.withLock({ $0 }) {
        case .content: return nil
        case .withdraws: return Denial(code: "key_withdrawn", message: "The key was withdrawn")
        case .cannotTell: throw CallerError("unreachable")
        }
    }

    func set(_ mood: Mood) {
        self.mood.withLock { $0 = mood }
    }
}

@Suite("A caller who is looked at again", .timeLimit(.minutes(2)))
struct RecheckTests {
    private static let withdrawn = Sent.error("The key was withdrawn", "key_withdrawn")
    private static let unknown = Sent.error(
        "Could not verify who is calling. Please try again.", "auth_check_failed")

    private let world = World()
    private let auth = FickleAuth()

    private func socket(_ principal: Principal = .user("7"), run: Int = 501) async -> TestSocket {
        let quota = Tenant.Quota(name: "credits", plugin: world.everyOffer, admitsWhenUnavailable: false)
        return await TestSocket(
            world, principal, run: run, tenant: .test(quotas: [quota], auth: [auth], store: world.store))
    }

    @Test(
        "places no call with a credential that was withdrawn since the socket opened, nor when nobody can tell",
        arguments: [(FickleAuth.Mood.withdraws, withdrawn), (.cannotTell, unknown)])
    private func newCall(mood: FickleAuth.Mood, reply: Sent) async throws {
        let socket = await socket()
        auth.set(mood)
        #expect(await socket.offer("PC-a") == [reply])
        #expect(world.everyOffer.asked == 0)
        #expect(try await world.leftovers() == [])
        auth.set(.content)
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
        #expect(try await world.leftovers() == [])
    }

    @Test(
        "is denied a later offer of a call, which goes on",
        arguments: [(FickleAuth.Mood.withdraws, withdrawn), (.cannotTell, unknown)])
    private func laterOffer(mood: FickleAuth.Mood, reply: Sent) async throws {
        let socket = await socket()
        await socket.offer("PC-a")
        auth.set(mood)
        #expect(await socket.offer("PC-a", "v=1") == [reply])
        #expect((world.leases, world.media.load) == (1, 1))
        auth.set(.content)
        #expect(await socket.offer("PC-a", "v=2") == Sent.answer("PC-a", to: "v=2"))
        await socket.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("cannot return to a call whose socket was lost, and the call ends when its time is up")
    func lostSocket() async throws {
        let first = await socket()
        await first.offer("PC-a")
        await first.close(code: 1006)
        auth.set(.withdraws)
        let second = await socket()
        #expect(await second.offer("PC-a") == [Self.withdrawn])
        #expect(world.media.load == 1)
        auth.set(.content)
        #expect(await second.offer("PC-a", "v=1") == Sent.answer("PC-a", to: "v=1"))
        await second.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("is asked about by the instance that let it in and by no other, once an offer")
    func instance() async throws {
        var stranger = Principal.user("7")
        stranger.authInstance = "back door"
        auth.set(.withdraws)
        for (run, principal) in [(501, stranger), (502, Principal(id: "7"))] {
            let socket = await socket(principal, run: run)
            #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
            await socket.close()
        }
        #expect(auth.asked.withLock { $0 } == 0)
        auth.set(.content)
        let socket = await socket(run: 503)
        for number in 0..<3 { await socket.offer("PC-a", "v=\(number)") }
        #expect(auth.asked.withLock { $0 } == 3)
        await socket.close()
    }
}

@Suite("A caller who is looked at again after a reload")
struct RecheckAfterReloadTests {
    private let clock = TestClock()

    /// - Parameter auth: the entries under `auth`, all of which the tenant has.
    private func deployment(_ auth: [String: String], tenant: String = "house") throws -> Deployment {
        let plugins: [PluginRegistration] = .builtin
        let entries = auth.map { "  \($0): \($1)" }.joined(separator: "\n")
        let yaml = """
            version: 1
            stores: { local: { type: memory } }
            pipelines: { echo: { type: echo } }
            auth:
            \(entries)
            tenants: { \(tenant): { match: any, auth: [\(auth.keys.joined(separator: ", "))], pipeline: echo, store: local } }
            """
        return try Deployment(
            GatewayConfiguration.load(
                text: yaml, environment: ["SECRET": Leaks.secret("an HMAC secret", "2b7e151628aed2a6abf7158809cf4f3c")],
                catalogue: plugins.catalogue),
            plugins: plugins, logger: .watched, wallClock: { [clock] in clock.now })
    }

    private func visitor(of token: String) -> Principal {
        var visitor = Principal(id: "shop", runOwner: .embedToken(token), expires: clock.now + .seconds(60))
        visitor.authInstance = "embeds"
        return visitor
    }

    @Test("is one whose embed token was taken out of the file, and one whose token was not")
    func embedToken() async throws {
        let users = "{ type: jwt, secret: { env: SECRET } }"
        let embeds = "{ type: embed_token, store: local, tokens: [{ token: emb_a, workflow: 7 }"
        let former = try deployment(["users": users, "embeds": embeds + ", { token: emb_b, workflow: 7 }] }"])
        let tenant = try #require(former.tenants.first)
        for token in ["emb_a", "emb_b"] {
            #expect(try await former.recheck(visitor(of: token), of: tenant) == nil)
        }
        let present = try deployment(["users": users, "embeds": embeds + "] }"])
        #expect(try await present.recheck(visitor(of: "emb_a"), of: tenant) == nil)
        #expect(try await present.recheck(visitor(of: "emb_b"), of: tenant)?.code == "invalid_embed_token")
        // So is whoever came by an instance, or to a tenant, that is no more; not who came by none.
        for gone in [try deployment(["users": users]), try deployment(["embeds": embeds + "] }"], tenant: "other")] {
            #expect(try await gone.recheck(visitor(of: "emb_a"), of: tenant)?.code == "credential_withdrawn")
            #expect(try await gone.recheck(Principal(id: "anonymous", isVisitor: true), of: tenant) == nil)
        }
        // The session only opens sockets.
        let early = visitor(of: "emb_a")
        clock.advance(by: .seconds(7200))
        #expect(try await present.recheck(early, of: tenant) == nil)
    }

    @Test("is denied a minute after the credential's end, for clocks differ by as much")
    func expired() async throws {
        let deployment = try deployment(["users": "{ type: jwt, secret: { env: SECRET } }"])
        let tenant = try #require(deployment.tenants.first)
        var caller = Principal(id: "7", expires: clock.now + .seconds(60))
        caller.authInstance = "users"
        clock.advance(by: .seconds(119))
        #expect(try await deployment.recheck(caller, of: tenant) == nil)
        clock.advance(by: .seconds(1))
        #expect(try await deployment.recheck(caller, of: tenant)?.code == "credential_expired")
        caller.expires = nil
        #expect(try await deployment.recheck(caller, of: tenant) == nil)
    }
}
