import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import HTTPAuth

@Suite("Answers of an endpoint that are remembered")
struct HTTPAuthCacheTests {
    @Test("asks each time, unless answers may be remembered")
    func noCache() async throws {
        let endpoint = FakeEndpoint()
        let auth = try endpoint.auth()
        for _ in 0..<3 { _ = try await auth.authenticate(ConnectRequest.showing()) }
        #expect(endpoint.questions.count == 3)
    }

    @Test("remembers who was let in, for as long as it may, and for the same question only")
    func cache() async throws {
        let endpoint = FakeEndpoint()
        let auth = try endpoint.auth { $0.cache = .seconds(60) }
        for _ in 0..<3 { #expect(try await auth.authenticate(ConnectRequest.showing()).principal?.id == "7") }
        #expect(endpoint.questions.count == 1)

        endpoint.says(403)
        var other = ConnectRequest.showing()
        other.workflowID = 8
        #expect(try await auth.authenticate(other).denial != nil)
        #expect(try await auth.authenticate(ConnectRequest.showing(token: "T0ken-of-the-caller")).denial != nil)
        #expect(
            try await auth.authenticate(ConnectRequest.showing(token: nil, key: "t0ken-of-the-caller")).denial != nil)
        #expect(try await auth.authenticate(ConnectRequest.showing()).principal?.id == "7")
        endpoint.clock.advance(by: .seconds(59))
        #expect(try await auth.authenticate(ConnectRequest.showing()).principal?.id == "7")
        endpoint.clock.advance(by: .seconds(1))
        #expect(try await auth.authenticate(ConnectRequest.showing()).denial != nil)
    }

    @Test("remembers neither a refusal nor a pass", arguments: [403, 401, 204])
    func notCached(status: Int) async throws {
        let endpoint = FakeEndpoint(status, "")
        let auth = try endpoint.auth { $0.cache = .seconds(60) }
        for _ in 0..<3 { #expect(try await auth.authenticate(ConnectRequest.showing()).principal == nil) }
        #expect(endpoint.questions.count == 3)
        endpoint.says(200, #"{"user":"7"}"#)
        #expect(try await auth.authenticate(ConnectRequest.showing()).principal?.id == "7")
    }

    @Test("remembers nobody beyond the end that was said, and does not trust a clock that was put back")
    func cacheEnds() async throws {
        let endpoint = FakeEndpoint(200, #"{"user":"7","expires":1800000010}"#)
        let auth = try endpoint.auth { $0.cache = .seconds(60) }
        #expect(try await auth.authenticate(ConnectRequest.showing()).principal != nil)
        endpoint.says(403)
        endpoint.clock.advance(by: .seconds(9))
        #expect(try await auth.authenticate(ConnectRequest.showing()).principal != nil)
        #expect(endpoint.questions.count == 1)
        endpoint.clock.advance(by: .seconds(1))
        #expect(try await auth.authenticate(ConnectRequest.showing()).principal == nil)
        #expect(endpoint.questions.count == 2)
        endpoint.clock.advance(by: .seconds(-3600))
        #expect(try await auth.authenticate(ConnectRequest.showing()).principal == nil)
    }

    @Test("remembers no more than a thousand, the newer ones")
    func bounded() {
        let cache = AnswerCache(lifetime: .seconds(300))
        for number in 0..<5000 {
            cache.keep(.accept(Principal(id: "\(number)")), to: "question \(number)", now: .milliseconds(number))
            #expect(cache.count <= AnswerCache.capacity)
        }
        guard case .accept(let principal)? = cache.answer(to: "question 4999", now: .seconds(5)) else {
            Issue.record("the newest is forgotten")
            return
        }
        #expect(principal.id == "4999")
        #expect(cache.answer(to: "question 0", now: .seconds(5)) == nil)
    }
}
