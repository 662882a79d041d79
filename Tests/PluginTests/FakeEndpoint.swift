import OutboundHTTP
import PatchbayPlugin
import PatchbayTesting
import Synchronization
import TestSupport

@testable import HTTPAuth

/// An endpoint without a network: what it was asked, and what it says.
final class FakeEndpoint: Sendable {
    struct Question: Sendable {
        var json: String
        var url: String
        var headers: [String: String]
        var timeout: Duration
    }

    let clock = TestClock(.seconds(1_800_000_000))
    private let reply: Mutex<Result<HTTPReply, any Error>>
    private let asked = Mutex<[Question]>([])

    var questions: [Question] { asked.withLock { $0 } }

    init(_ status: Int = 200, _ body: String = #"{"user":"7"}"#) {
        reply = Mutex(.success(HTTPReply(status: status, body: Array(body.utf8))))
    }

    func says(_ status: Int, _ body: String = "") {
        reply.withLock { $0 = .success(HTTPReply(status: status, body: Array(body.utf8))) }
    }

    func fails(_ error: any Error) {
        reply.withLock { $0 = .failure(error) }
    }

    func auth(_ change: (inout HTTPAuth.Settings) -> Void = { _ in }) throws -> HTTPAuth {
        try HTTPAuth.asking(clock, change) { json, endpoint, headers, timeout in
            self.asked.withLock {
                $0.append(Question(json: json, url: endpoint.url, headers: headers, timeout: timeout))
            }
            return try self.reply.withLock { $0 }.get()
        }
    }
}

extension HTTPAuth {
    /// One that asks this, by that clock.
    static func asking(
        _ clock: TestClock, _ change: (inout Settings) -> Void, ask: @escaping Ask
    ) throws -> HTTPAuth {
        var settings = Settings()
        let secret = Leaks.secret("what is in an address", "s3cret-of-the-endpoint")
        settings.url = EndpointURL("https://auth.example/check?tenant=\(secret)")
        change(&settings)
        for secret in settings.secretHeaders.values {
            _ = secret.withValue { Leaks.secret("what is in a header field", $0) }
        }
        let context = PluginContext(name: "remote", logger: .watched, wallClock: { clock.now })
        return try HTTPAuth(settings: settings, context: context, ask: ask)
    }
}

extension ConnectRequest {
    /// One with these credentials.
    static func showing(token: String? = "t0ken-of-the-caller", key: String? = nil) -> ConnectRequest {
        var request = ConnectRequest(tenant: "acme", runs: WorkflowRuns(store: MemoryStore(), tenant: "acme"))
        request.bearerToken = token.map { Leaks.token($0) }
        request.apiKey = key.map { Leaks.secret("an API key", $0) }
        return request
    }
}
