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

    private func caller(_ token: String, network: String, tenant: String = "acme") -> ConnectRequest {
        var request = ConnectRequest.showing(token: token)
        request.tenant = tenant
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
            // Nor is it another tenant's concern.
            group.addTask { try await auth.authenticate(caller("good", network: "192.0.2.1", tenant: "other")) }
            while endpoint.waiting < 6 { await Task.yield() }
            #expect(endpoint.count == 6)
            endpoint.letGo()
            let outcomes = try await group.reduce(into: []) { $0.append($1) }
            #expect(outcomes.count { $0.principal != nil } == 2)
            #expect(outcomes.count { $0.denial?.code == "invalid_token" } == 4)
        }
        #expect(try await auth.authenticate(caller("good", network: "192.0.2.1")).principal != nil)
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
