import OutboundHTTP
import PatchbayPlugin
import PatchbayTesting
import Synchronization
import Testing

@testable import HTTPAuth

@Suite("How much an endpoint is asked", .timeLimit(.minutes(1)))
struct HTTPAuthLimitTests {
    /// Answers when it is let go, with what its question's token says.
    private final class SlowEndpoint: Sendable {
        let clock = TestClock(.seconds(1_800_000_000))
        private let held = Mutex<[CheckedContinuation<Void, Never>]?>([])
        private let asked = Mutex(0)

        var waiting: Int { held.withLock { $0?.count ?? 0 } }
        var count: Int { asked.withLock { $0 } }

        func letGo() {
            let waiting = held.withLock { held in
                defer { held = nil }
                return held ?? []
            }
            for each in waiting { each.resume() }
        }

        func auth(_ change: (inout HTTPAuth.Settings) -> Void = { _ in }) throws -> HTTPAuth {
            try HTTPAuth.asking(clock, change) { json, _, _, _ in
                self.asked.withLock { $0 += 1 }
                await withCheckedContinuation { continuation in
                    let isHeld = self.held.withLock { held in
                        held?.append(continuation)
                        return held != nil
                    }
                    if !isHeld { continuation.resume() }
                }
                return json.contains(#""token":"good""#)
                    ? HTTPReply(status: 200, body: Array(#"{"user":"7"}"#.utf8)) : HTTPReply(status: 403)
            }
        }
    }

    /// - Parameter tenants: how many share the instance.
    private func caller(
        _ token: String, network: String, tenant: String = "acme", of tenants: Int = 1
    ) -> ConnectRequest {
        var request = ConnectRequest.showing(token: token)
        (request.tenant, request.tenantCount) = (tenant, tenants)
        request.remoteNetwork = network
        return request
    }

    @Test("a hundred callers wait for a slow one, and are all let in")
    func slow() async throws {
        let endpoint = SlowEndpoint()
        let auth = try endpoint.auth()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<100 {
                group.addTask {
                    try await auth.authenticate(caller("good", network: "192.0.2.\(number)")).principal != nil
                }
            }
            while endpoint.waiting < 100 { await Task.yield() }
            endpoint.letGo()
            for try await isIn in group { #expect(isIn) }
        }
    }

    @Test("one network has an eighth of what may be asked at once, and the others notice nothing of it")
    func oneNetwork() async throws {
        let endpoint = SlowEndpoint()
        let auth = try endpoint.auth { $0.questionsAtOnce = 32 }
        try await withThrowingTaskGroup(of: AuthOutcome.self) { group in
            for _ in 0..<4 { group.addTask { try await auth.authenticate(caller("bad", network: "192.0.2.1")) } }
            while endpoint.waiting < 4 { await Task.yield() }
            for _ in 0..<50 {
                #expect(try await auth.authenticate(caller("bad", network: "192.0.2.1")).denial == .tooManyRequests)
            }
            group.addTask { try await auth.authenticate(caller("good", network: "192.0.2.2")) }
            while endpoint.waiting < 5 { await Task.yield() }
            #expect(endpoint.count == 5)
            endpoint.letGo()
            let outcomes = try await group.reduce(into: []) { $0.append($1) }
            #expect(outcomes.count { $0.principal != nil } == 1)
            #expect(outcomes.count { $0.denial?.code == "invalid_token" } == 4)
        }
        #expect(try await auth.authenticate(caller("good", network: "192.0.2.1")).principal != nil)
    }

    @Test("a network has its eighth over all tenants, and at no tenant so much that nobody gets in at another")
    func oneNetworkAtTenants() async throws {
        let endpoint = SlowEndpoint()
        let auth = try endpoint.auth { $0.questionsAtOnce = 32 }
        let network = "192.0.2.1"
        try await withThrowingTaskGroup(of: AuthOutcome.self) { group in
            for _ in 0..<3 { group.addTask { try await auth.authenticate(caller("bad", network: network, of: 2)) } }
            while endpoint.waiting < 3 { await Task.yield() }
            let fourth = try await auth.authenticate(caller("bad", network: network, of: 2))
            #expect(fourth.denial == .tooManyRequests)
            group.addTask { try await auth.authenticate(caller("good", network: network, tenant: "other", of: 2)) }
            while endpoint.waiting < 4 { await Task.yield() }
            for tenant in ["acme", "other"] {
                let fifth = try await auth.authenticate(caller("good", network: network, tenant: tenant, of: 2))
                #expect(fifth.denial == .tooManyRequests)
            }
            group.addTask { try await auth.authenticate(caller("good", network: "192.0.2.2", tenant: "other", of: 2)) }
            while endpoint.waiting < 5 { await Task.yield() }
            #expect(endpoint.count == 5)
            endpoint.letGo()
            let outcomes = try await group.reduce(into: []) { $0.append($1) }
            #expect(outcomes.count { $0.principal != nil } == 2)
        }
    }

    @Test("one tenant of two leaves a quarter to the other, from however many networks it is asked")
    func oneTenant() async throws {
        let endpoint = SlowEndpoint()
        let auth = try endpoint.auth { $0.questionsAtOnce = 32 }
        let networks = (1...8).map { "192.0.2.\($0)" }
        try await withThrowingTaskGroup(of: AuthOutcome.self) { group in
            for network in networks {
                for _ in 0..<3 { group.addTask { try await auth.authenticate(caller("bad", network: network, of: 2)) } }
            }
            while endpoint.waiting < 24 { await Task.yield() }
            for network in networks + ["192.0.2.9"] {
                let outcome = try await auth.authenticate(caller("bad", network: network, of: 2))
                #expect(outcome.denial == .tooManyRequests)
            }
            for network in networks {
                group.addTask { try await auth.authenticate(caller("good", network: network, tenant: "other", of: 2)) }
            }
            while endpoint.waiting < 32 { await Task.yield() }
            let last = try await auth.authenticate(caller("good", network: "192.0.2.9", tenant: "other", of: 2))
            #expect(last.denial == .tooManyRequests)
            #expect(endpoint.count == 32)
            endpoint.letGo()
            let outcomes = try await group.reduce(into: []) { $0.append($1) }
            #expect(outcomes.count { $0.principal != nil } == 8)
        }
    }

    @Test("of questions that are over nothing is kept")
    func nothingIsKept() {
        let limits = QuestionLimits(atOnce: 32, refusalsPerMinute: 60)
        let askers = (0..<200).map {
            QuestionLimits.Asker(tenant: "\($0 % 3)", network: "192.0.2.\($0 % 50)", tenantCount: 3)
        }
        let entered = askers.filter { limits.enter($0, now: .zero) }
        #expect(entered.count == 32)
        #expect(!limits.isIdle)
        for asker in entered { limits.leave(asker) }
        #expect(limits.isIdle)
    }

    @Test("no more is asked at once than it may be, whoever they are")
    func all() async throws {
        let endpoint = SlowEndpoint()
        let auth = try endpoint.auth { $0.questionsAtOnce = 3 }
        try await withThrowingTaskGroup(of: AuthOutcome.self) { group in
            for number in 0..<3 {
                group.addTask { try await auth.authenticate(caller("good", network: "192.0.2.\(number)")) }
            }
            while endpoint.waiting < 3 { await Task.yield() }
            #expect(try await auth.authenticate(caller("good", network: "192.0.2.9")).denial == .tooManyRequests)
            endpoint.letGo()
            for try await outcome in group { #expect(outcome.principal != nil) }
        }
        #expect(try await auth.authenticate(caller("good", network: "192.0.2.9")).principal != nil)
    }

    @Test("a network whose callers are refused too often is not asked about for a while; who is let in counts nothing")
    func refusals() async throws {
        let endpoint = SlowEndpoint()
        endpoint.letGo()
        let auth = try endpoint.auth { $0.refusalsPerAddress = 6 }
        for _ in 0..<30 {
            #expect(try await auth.authenticate(caller("good", network: "192.0.2.1")).principal != nil)
        }
        for _ in 0..<2 {
            #expect(
                try await auth.authenticate(caller("bad", network: "192.0.2.1")).denial?.code == "invalid_token")
        }
        let before = endpoint.count
        for token in ["bad", "good", "bad"] {
            #expect(try await auth.authenticate(caller(token, network: "192.0.2.1")).denial == .tooManyRequests)
        }
        #expect(endpoint.count == before)
        #expect(try await auth.authenticate(caller("good", network: "192.0.2.2")).principal != nil)
        endpoint.clock.advance(by: .seconds(10))
        #expect(try await auth.authenticate(caller("good", network: "192.0.2.1")).principal != nil)
    }

    @Test("refusals of a network count over all tenants, and those at one leave half to its callers at others")
    func refusalsAtTenants() async throws {
        let endpoint = SlowEndpoint()
        endpoint.letGo()
        let auth = try endpoint.auth { $0.refusalsPerAddress = 12 }
        func outcome(_ token: String, _ tenant: String, network: String = "192.0.2.1") async throws -> AuthOutcome {
            try await auth.authenticate(caller(token, network: network, tenant: tenant, of: 3))
        }
        for tenant in ["acme", "other"] {
            for _ in 0..<2 { #expect(try await outcome("bad", tenant).denial?.code == "invalid_token") }
            #expect(try await outcome("good", tenant).denial == .tooManyRequests)
        }
        let before = endpoint.count
        #expect(try await outcome("good", "third").denial == .tooManyRequests)
        #expect(endpoint.count == before)
        #expect(try await outcome("good", "acme", network: "192.0.2.2").principal != nil)
        endpoint.clock.advance(by: .seconds(10))
        for tenant in ["acme", "other", "third"] { #expect(try await outcome("good", tenant).principal != nil) }
    }

    @Test("nor does a tenant take more of them by being refused many at once")
    func manyRefusalsAtOnce() async throws {
        let endpoint = SlowEndpoint()
        let auth = try endpoint.auth { settings in
            settings.questionsAtOnce = 64
            settings.refusalsPerAddress = 12
        }
        try await withThrowingTaskGroup(of: AuthOutcome.self) { group in
            for _ in 0..<6 { group.addTask { try await auth.authenticate(caller("bad", network: "192.0.2.1", of: 2)) } }
            while endpoint.waiting < 6 { await Task.yield() }
            endpoint.letGo()
            for try await outcome in group { #expect(outcome.denial?.code == "invalid_token") }
        }
        for _ in 0..<2 {
            let outcome = try await auth.authenticate(caller("bad", network: "192.0.2.1", tenant: "other", of: 2))
            #expect(outcome.denial?.code == "invalid_token")
        }
        let outcome = try await auth.authenticate(caller("bad", network: "192.0.2.1", tenant: "other", of: 2))
        #expect(outcome.denial == .tooManyRequests)
    }

    @Test(
        "all that are refused at once count, and those beyond the limit keep the network waiting as long as one by one")
    func refusedAtOnce() async throws {
        let endpoint = SlowEndpoint()
        let auth = try endpoint.auth { settings in
            settings.questionsAtOnce = 64
            settings.refusalsPerAddress = 6
        }
        try await withThrowingTaskGroup(of: AuthOutcome.self) { group in
            for _ in 0..<6 { group.addTask { try await auth.authenticate(caller("bad", network: "192.0.2.1")) } }
            while endpoint.waiting < 6 { await Task.yield() }
            endpoint.letGo()
            for try await outcome in group { #expect(outcome.denial?.code == "invalid_token") }
        }
        // Two at once, and another every ten seconds.
        for seconds in [0, 39] {
            endpoint.clock.advance(by: .seconds(seconds))
            let outcome = try await auth.authenticate(caller("bad", network: "192.0.2.1"))
            #expect(outcome.denial == .tooManyRequests)
        }
        endpoint.clock.advance(by: .seconds(11))
        let outcome = try await auth.authenticate(caller("bad", network: "192.0.2.1"))
        #expect(outcome.denial?.code == "invalid_token")
    }

    @Test("an endpoint that does not answer is not held against the callers")
    func unavailable() async throws {
        let endpoint = FakeEndpoint()
        endpoint.fails(OutboundHTTPError.late(.seconds(2)))
        let auth = try endpoint.auth { settings in
            settings.refusalsPerAddress = 3
            settings.questionsAtOnce = 1
        }
        for _ in 0..<9 {
            await #expect(throws: HTTPAuthError.self) { try await auth.authenticate(ConnectRequest.showing()) }
        }
    }
}
