import OutboundHTTP
import PatchbayPlugin
import Testing

@testable import HTTPAuth

@Suite("Auth by an endpoint over HTTP")
struct HTTPAuthTests {
    @Test("is told all there is to decide by, and null for what there is not")
    func question() async throws {
        let endpoint = FakeEndpoint()
        let auth = try endpoint.auth { settings in
            settings.secretHeaders = ["X-Gateway": Secret("p4ss-of-the-gateway")]
            settings.timeout = .seconds(1)
        }
        _ = try await auth.authenticate(ConnectRequest.showing())
        var full = ConnectRequest.showing(token: "a\"\n", key: "k3y")
        (full.origin, full.remoteAddress) = ("https://example.com", "192.0.2.1")
        (full.workflowID, full.workflowRunID) = (33, 501)
        _ = try await auth.authenticate(full)
        #expect(
            endpoint.questions.map(\.json) == [
                #"{"api_key":null,"origin":null,"remote_address":null,"tenant":"acme","token":"t0ken-of-the-caller","workflow_id":null,"workflow_run_id":null}"#,
                #"{"api_key":"k3y","origin":"https://example.com","remote_address":"192.0.2.1","tenant":"acme","token":"a\"\n","workflow_id":33,"workflow_run_id":501}"#,
            ])
        #expect(endpoint.questions.first?.url == "https://auth.example/check?tenant=s3cret-of-the-endpoint")
        #expect(endpoint.questions.first?.headers == ["x-gateway": "p4ss-of-the-gateway"])
        #expect(endpoint.questions.first?.timeout == .seconds(1))
    }

    @Test("passes where there is no credential, or an embed page's, and asks nobody")
    func passes() async throws {
        let endpoint = FakeEndpoint()
        let auth = try endpoint.auth()
        var request = ConnectRequest.showing(token: nil)
        #expect(try await auth.authenticate(request).isPass)
        request.sessionToken = "session"
        #expect(try await auth.authenticate(request).isPass)
        #expect(endpoint.questions.isEmpty)
    }

    @Test(
        "200 lets in whom it names",
        arguments: [
            (#"{"user":"7"}"#, Principal(id: "7")), (#"{"user":7}"#, Principal(id: "7")),
            (#"{"user":"7","organization":"acme"}"#, Principal(id: "7", organization: "acme")),
            (#"{"user":"7","organization":12}"#, Principal(id: "7", organization: "12")),
            (#"{"user":"7","organization":null,"workflow_id":null,"expires":null,"visitor":null}"#, Principal(id: "7")),
            (#"{"user":"7","workflow_id":33}"#, Principal(id: "7", workflowID: 33)),
            (
                #"{"user":"7","context_variables":{"name":"Ada","age":36}}"#,
                Principal(id: "7", contextVariables: ["name": "Ada", "age": 36])
            ),
            (#"{"user":"7","visitor":true}"#, Principal(id: "7", isVisitor: true)),
            (#"{"user":"7","visitor":false,"more":[1]}"#, Principal(id: "7")),
            (#"{"user":"7","expires":1800000060}"#, Principal(id: "7", expires: .seconds(1_800_000_060))),
            (#"{"user":"7","expires":1800000060.5}"#, Principal(id: "7", expires: .milliseconds(1_800_000_060_500))),
            (#"{"user":"7","expires":"2027-01-15T08:01:00Z"}"#, Principal(id: "7", expires: .seconds(1_800_000_060))),
            (#"{"user":"7","expires":1e300}"#, Principal(id: "7", expires: .seconds(1e12))),
            (#"{"user":"7","expires":9223372036854775807}"#, Principal(id: "7", expires: .seconds(1e12))),
        ])
    func accepts(body: String, principal: Principal) async throws {
        #expect(try await FakeEndpoint(200, body).auth().authenticate(ConnectRequest.showing()).principal == principal)
    }

    @Test(
        "200 that names nobody, or not so that it can be understood, lets nobody in",
        arguments: [
            "", "ok", "{}", "[]", "null", #"{"user":null}"#, #"{"user":""}"#, #"{"user":true}"#, #"{"user":["7"]}"#,
            #"{"user":1.5}"#,
            #"{"user":"7""#, #"{"user":"7","user":"8"}"#, #"{"user":"7","workflow_id":"33"}"#,
            #"{"user":"7","workflow_id":1.5}"#,
            #"{"user":"7","organization":["acme"]}"#, #"{"user":"7","organization":""}"#,
            #"{"user":"7","visitor":"no"}"#,
            #"{"user":"7","visitor":0}"#, #"{"user":"7","expires":"soon"}"#, #"{"user":"7","expires":true}"#,
            #"{"user":"7","context_variables":[]}"#, #"{"user":"7","context_variables":"x"}"#,
            #"{"user":"7","x":\#(String(repeating: "[", count: 20))\#(String(repeating: "]", count: 20))}"#,
        ])
    func badBodies(body: String) async throws {
        let auth = try FakeEndpoint(200, body).auth()
        await #expect(throws: HTTPAuthError.self) { try await auth.authenticate(ConnectRequest.showing()) }
    }

    @Test("one who is over already is not let in", arguments: ["0", "-5", "1800000000", #""2027-01-15T08:00:00Z""#])
    func expired(expires: String) async throws {
        let auth = try FakeEndpoint(200, #"{"user":"7","expires":\#(expires)}"#).auth()
        #expect(
            try await auth.authenticate(ConnectRequest.showing()).denial
                == Denial(code: "invalid_token", message: "Invalid or expired token"))
    }

    @Test(
        "401 and 403 refuse, in the endpoint's words where they are fit, else in those of this wire",
        arguments: [
            (401, "", nil, "invalid_token", "Invalid or expired token"),
            (403, "no", nil, "invalid_token", "Invalid or expired token"),
            (403, "", "k3y", "invalid_api_key", "Invalid or expired API key"),
            (401, #"{"code":"plan_expired","message":"Your plan is over"}"#, nil, "plan_expired", "Your plan is over"),
            (403, #"{"message":"Your plan is over"}"#, nil, "invalid_token", "Your plan is over"),
            (403, #"{"code":"Bad Code","message":7}"#, nil, "invalid_token", "Invalid or expired token"),
            (403, #"{"code":"","message":""}"#, nil, "invalid_token", "Invalid or expired token"),
            (403, #"{"code":"a","message":"two\nlines\u0000"}"#, nil, "a", "two lines "),
            (
                403, "{\"code\":\"\(String(repeating: "a", count: 65))\"}", nil, "invalid_token",
                "Invalid or expired token"
            ),
            (
                403, "{\"message\":\"\(String(repeating: "x", count: 300))\"}", nil, "invalid_token",
                String(repeating: "x", count: 200)
            ),
        ] as [(Int, String, String?, String, String)])
    func rejects(status: Int, body: String, key: String?, code: String, message: String) async throws {
        let outcome = try await FakeEndpoint(status, body).auth().authenticate(ConnectRequest.showing(key: key))
        #expect(outcome.denial == Denial(code: code, message: message))
    }

    @Test(
        "what a refusal repeats of what it was asked is hidden, also where the sentence is cut",
        arguments: [
            (
                "t0ken-of-the-caller and k3y-of-the-caller and p4ss-of-the-gateway",
                "<secret> and <secret> and <secret>"
            ),
            ("no such key: k3y-in-the-address", "no such key: <secret>"),
            ("t0ken-of-the-caller\u{301}", "<secret>\u{301}"),
            (String(repeating: "x", count: 195) + "k3y-of-the-caller", String(repeating: "x", count: 195) + "<secr"),
        ])
    func hides(message: String, shown: String) async throws {
        let body = JSONValue.object(["message": .string(message)]).description
        let auth = try FakeEndpoint(403, body).auth {
            $0.url = "https://auth.example/check?v=1&api_key=k3y-in-the-address"
            $0.secretHeaders = ["X-Gateway": Secret("p4ss-of-the-gateway")]
        }
        let outcome = try await auth.authenticate(ConnectRequest.showing(key: "k3y-of-the-caller"))
        #expect(outcome.denial?.message.unicodeScalars.elementsEqual(shown.unicodeScalars) == true)
    }

    @Test("204 leaves it to the next")
    func leaves() async throws {
        #expect(try await FakeEndpoint(204, "").auth().authenticate(ConnectRequest.showing()).isPass)
    }

    @Test(
        "with any other answer nobody can tell, and it says so without a word of a credential",
        arguments: [
            100, 201, 202, 206, 301, 302, 307, 308, 400, 402, 404, 405, 407, 408, 409, 418, 429, 500, 502, 503, 504,
            599, 0, -1,
        ])
    func cannotTell(status: Int) async throws {
        let auth = try FakeEndpoint(status).auth { $0.secretHeaders = ["x-gateway": Secret("p4ss-of-the-gateway")] }
        let error = await #expect(throws: HTTPAuthError.self) {
            try await auth.authenticate(ConnectRequest.showing(key: "k3y"))
        }
        let text = error?.description ?? ""
        #expect(text.contains("https://auth.example") && text.contains("\(status)"))
        for secret in ["t0ken", "k3y", "p4ss", "s3cret"] { #expect(!text.contains(secret)) }
    }

    @Test(
        "nor can anybody without an answer",
        arguments: [OutboundHTTPError.late(.seconds(2)), .tooLong(limit: 16_384), .failed("refused")])
    func noAnswer(error: OutboundHTTPError) async throws {
        let endpoint = FakeEndpoint()
        endpoint.fails(error)
        let auth = try endpoint.auth { $0.cache = .seconds(60) }
        let thrown = await #expect(throws: HTTPAuthError.self) { try await auth.authenticate(ConnectRequest.showing()) }
        #expect(thrown?.description.contains(error.description) == true)
        // It is asked again the next time.
        endpoint.says(200, #"{"user":"7"}"#)
        #expect(try await auth.authenticate(ConnectRequest.showing()).principal?.id == "7")
    }

    @Test(
        "refuses settings by which secrets would be lost or nothing could be sent",
        arguments: [
            ("url: http://auth.example/", "url"), ("url: auth.example", "url"), ("url: \"\"", "url"),
            ("url: https://u:p@auth.example/", "url"),
            ("url: ws://127.0.0.1/", "url"),
            ("{ url: https://a.example, secret_headers: { \"a b\": { env: S } } }", "secret_headers"),
            ("{ url: https://a.example, secret_headers: { \"\": { env: S } } }", "secret_headers"),
            ("{ url: https://a.example, secret_headers: { host: { env: S } } }", "secret_headers"),
            ("{ url: https://a.example, secret_headers: { Content-Length: { env: S } } }", "secret_headers"),
            ("{ url: https://a.example, secret_headers: { x: { env: S }, X: { env: S } } }", "secret_headers"),
            ("{ url: https://a.example, secret_headers: { x: { env: LINES } } }", "secret_headers"),
        ])
    func settings(yaml: String, field: String) {
        let fault = #expect(throws: SettingsFault.self) {
            try HTTPAuth.watched(yaml, environment: ["S": "hunter2", "LINES": "hunter2\r\nhost: b"])
        }
        #expect(fault?.field == field)
        #expect(fault?.description.contains("hunter2") == false)
    }

    @Test("takes no URL with a secret among its parameters, and shows none, unless the environment has it")
    func secretParameters() {
        let error = #expect(throws: (any Error).self) {
            try HTTPAuth.watched("{ url: \"https://a.example/x?v=1&api_key=hunter2\", timeout: soon }")
        }
        let shown = error.map { "\($0)" } ?? ""
        #expect(shown.contains("url: 'api_key' is a secret, which does not stand here"), "\(shown)")
        #expect(shown.contains("put it into `secret_headers`") && shown.contains("api_key=${NAME}"), "\(shown)")
        #expect(shown.contains("<hidden>") && !shown.contains("hunter2"), "\(shown)")
        #expect(throws: Never.self) {
            try HTTPAuth.watched("url: \"https://a.example/x?api_key=${S}\"", environment: ["S": "hunter2"])
        }
    }

    @Test("times have bounds", arguments: ["timeout: 99ms", "timeout: 11s", "cache: 301s"])
    func bounds(yaml: String) {
        #expect(throws: (any Error).self) { try HTTPAuth.watched("url: https://a.example\n\(yaml)") }
    }

    @Test(
        "takes TLS, and this machine without",
        arguments: ["https://auth.example", "http://localhost:8080/check", "http://127.0.0.1/", "http://[::1]:1/"])
    func urls(url: String) {
        #expect(throws: Never.self) { try HTTPAuth.watched("{ url: \"\(url)\", timeout: 100ms, cache: 5m }") }
    }
}
