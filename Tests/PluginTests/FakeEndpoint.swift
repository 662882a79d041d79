import Logging
import OutboundHTTP
import PatchbayPlugin
import PatchbayTesting
import Synchronization

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
        var settings = HTTPAuth.Settings()
        settings.url = "https://auth.example/check?tenant=s3cret"
        change(&settings)
        let context = PluginContext(
            name: "remote", logger: Logger(label: "patchbay.test", factory: { _ in SwiftLogNoOpLogHandler() }),
            wallClock: { [clock] in clock.now })
        return try HTTPAuth(settings: settings, context: context) { json, endpoint, headers, timeout in
            self.asked.withLock {
                $0.append(Question(json: json, url: endpoint.url, headers: headers, timeout: timeout))
            }
            return try self.reply.withLock { $0 }.get()
        }
    }
}

extension ConnectRequest {
    /// One with these credentials.
    static func showing(token: String? = "t0ken", key: String? = nil) -> ConnectRequest {
        var request = ConnectRequest(tenant: "acme", runs: WorkflowRuns(store: MemoryStore(), tenant: "acme"))
        request.bearerToken = token
        request.apiKey = key
        return request
    }
}
