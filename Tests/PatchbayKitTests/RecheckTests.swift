import PatchbayPlugin
import PatchbayTesting
import Synchronization
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
