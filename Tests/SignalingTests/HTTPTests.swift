import NIOCore
import ServiceLifecycle
import Signaling
import TestSupport
import Testing
import WebSocket

private let long = String(repeating: "a", count: 9000)
private let marks = String(repeating: "\u{301}", count: 31)
private let escapedMarks = String(repeating: "%CC%81", count: 31)
private let origin = "Origin: https://shop.example\r\n"
private let embedStart = "/api/v1/public/embed/init"

struct Refusal: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var request: String
    var status: Int

    init(_ name: String, _ request: String, _ status: Int) {
        testDescription = name
        self.request = request
        self.status = status
    }
}

@Suite("HTTP")
struct HTTPTests {
    private static let token = Leaks.secret("a bearer token", "token-of-a-caller")

    @Test("a request arrives whole and decoded")
    func request() async throws {
        try await withServer { request in
            let query = request.query.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            let parts = [
                request.method, request.rawPath, request.path.joined(separator: "|"), query.joined(separator: "&"),
                request.headers["x-a"] ?? "", request.host, request.remoteAddress,
                String(decoding: request.body, as: UTF8.self),
            ]
            return Response(status: 200, body: Array(parts.joined(separator: "\n").utf8))
        } body: { server in
            let answer = try await server.exchange(
                "POST /t/a%20b//c/?k=1+2&k=%33&e HTTP/1.1\r\nHost: Acme:1\r\nX-A: 1\r\nx-a: 2\r\n"
                    + "Connection: close\r\nContent-Length: 2\r\n\r\nhi")
            let body = "POST\n/t/a%20b//c/\nt|a b|c\ne=&k=3\n1, 2\nacme:1\n127.0.0.1\nhi"
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.contains("content-length: \(body.utf8.count)\r\n"))
            #expect(answer.hasSuffix("\r\n\r\n" + body))
        }
    }

    @Test(
        "the host that the target names wins over the field (RFC 9112 §3.2.2)",
        arguments: [
            ("http://Acme:2/a/b?c", "acme:2 /a/b"), ("WS://acme?c", "acme /"), ("https://acme", "acme /"),
            ("/http://acme/b", "other /http://acme/b"),
        ])
    func absoluteForm(target: String, expected: String) async throws {
        try await withServer { request in
            Response(status: 200, body: Array("\(request.host) \(request.rawPath)".utf8))
        } body: { server in
            let answer = try await server.exchange("GET \(target) HTTP/1.1\r\nHost: Other\r\nConnection: close\r\n\r\n")
            #expect(answer.hasSuffix("\r\n\r\n\(expected)"), "\(answer)")
        }
    }

    @Test("requests sent ahead are answered in turn on one connection, and HEAD has no body")
    func pipelining() async throws {
        try await withServer { request in
            try? await Task.sleep(for: .milliseconds(request.path == ["1"] ? 50 : 1))
            return Response(status: 200, body: Array((request.path.first ?? "").utf8))
        } body: { server in
            let answer = try await server.exchange(
                "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: x\r\n\r\n"
                    + "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let one = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n"
            #expect(answer == one + "\r\n1" + one + "\r\n" + one + "connection: close\r\n\r\n3")
        }
    }

    @Test(
        "what breaks a rule or a limit is answered and closed",
        arguments: [
            Refusal(
                "65 fields", "GET / HTTP/1.1\r\nHost: x\r\n" + String(repeating: "A: b\r\n", count: 64) + "\r\n", 431),
            Refusal("long target", "GET /\(long) HTTP/1.1\r\nHost: x\r\n\r\n", 431),
            Refusal("long field", "GET / HTTP/1.1\r\nHost: x\r\nA: \(long)\r\n\r\n", 431),
            Refusal("no host", "GET / HTTP/1.1\r\n\r\n", 400),
            Refusal("two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
            Refusal("bad escape", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            Refusal("null in path", "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            Refusal("path not UTF-8", "GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            Refusal("line feed in query", "GET /?a=%0a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            Refusal("marks in a host", "GET / HTTP/1.1\r\nHost: x\(marks)\r\n\r\n", 400),
            Refusal("marks in a field", "GET / HTTP/1.1\r\nHost: x\r\nOrigin: http://\(marks)\r\n\r\n", 400),
            Refusal("marks in a field of no use", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nA: \(marks)\r\n\r\n", 400),
            Refusal("marks in a target", "GET /\(marks) HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            Refusal("marks in a path", "GET /a/\(escapedMarks) HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            Refusal("marks in a query", "GET /?a=\(escapedMarks) HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            Refusal("marks in a query's name", "GET /?\(escapedMarks)=a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            Refusal("no host in the target", "GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            Refusal("a user in the target", "GET http://a@x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            Refusal("asterisk form", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            Refusal("not HTTP", "nonsense\r\n\r\n", 400),
            Refusal(
                "two lengths",
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            Refusal(
                "long body",
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n" + String(repeating: "a", count: 65537),
                413),
            Refusal(
                "long body in chunks",
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + String(repeating: "2000\r\n" + String(repeating: "a", count: 0x2000) + "\r\n", count: 9), 413),
        ])
    func refused(refusal: Refusal) async throws {
        try await withServer { _ in
            Response(status: 200)
        } body: { server in
            let answer = try await server.exchange(refusal.request)
            #expect(answer.hasPrefix("HTTP/1.1 \(refusal.status) "), "\(answer)")
            #expect(answer.contains("connection: close\r\n"))
        }
    }

    @Test(
        "an embed page can read why nobody answered it, below any tenant's path",
        arguments: [
            Refusal("nobody's", "GET /t/acme/api/v1/public/embed/config/x HTTP/1.1\r\nHost: x\r\n\(origin)\r\n", 404),
            Refusal(
                "a whole address", "GET http://x/api/v1/public/embed/config/x HTTP/1.1\r\nHost: x\r\n\(origin)\r\n", 404
            ),
            Refusal("two hosts", "POST \(embedStart) HTTP/1.1\r\nHost: x\r\nHost: y\r\n\(origin)\r\n", 400),
            Refusal("bad escape", "GET /api/v1/public/embed/config/%zz HTTP/1.1\r\nHost: x\r\n\(origin)\r\n", 400),
            Refusal(
                "no chunk",
                "POST \(embedStart) HTTP/1.1\r\nHost: x\r\n\(origin)Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", 400
            ),
            Refusal(
                "long body",
                "POST \(embedStart) HTTP/1.1\r\nHost: x\r\n\(origin)Content-Length: 65537\r\n\r\n"
                    + String(repeating: "a", count: 65537), 413),
        ])
    func readable(refusal: Refusal) async throws {
        try await withServer { server in
            let request = refusal.request.replacing(origin, with: origin + "Connection: close\r\n")
            let answer = try await server.exchange(request)
            #expect(answer.hasPrefix("HTTP/1.1 \(refusal.status) "), "\(answer)")
            #expect(answer.contains("\r\naccess-control-allow-origin: https://shop.example\r\n"))
            #expect(answer.contains("\r\nvary: Origin\r\n"))
            let quiet = try await server.exchange(request.replacing(origin, with: ""))
            #expect(quiet.hasPrefix("HTTP/1.1 \(refusal.status) ") && !quiet.contains("access-control-"))
        }
    }

    @Test(
        "and nothing else becomes readable by that",
        arguments: [
            ("GET", "/api/v1/public/embed", 404, [:]), ("GET", "/api/v1/health?/api/v1/public/embed/x", 404, [:]),
            ("GET", "/api/v1/public/embed/x", 200, [:]), ("OPTIONS", "/api/v1/public/embed/x", 404, [:]),
            ("GET", "/api/v1/public/embed/x", 403, ["access-control-allow-origin": "https://other.example"]),
        ] as [(String, String, Int, [String: String])])
    func unreadable(method: String, target: String, status: Int, headers: [String: String]) async throws {
        try await withServer { _ in
            Response(status: status, headers: headers)
        } body: { server in
            let answer = try await server.exchange(
                "\(method) \(target) HTTP/1.1\r\nHost: x\r\n\(origin)Access-Control-Request-Method: GET\r\n"
                    + "Connection: close\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
            #expect(!answer.contains("https://shop.example") && !answer.contains("vary"), "\(answer)")
        }
    }

    @Test("64 fields and 64 KiB of body pass")
    func atTheLimit() async throws {
        try await withServer {
            Response(status: 200 + $0.body.count / 65536)
        } body: { server in
            let fields = String(repeating: "A: b\r\n", count: 61)
            let answer = try await server.exchange(
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\nConnection: close\r\n\(fields)\r\n"
                    + String(repeating: "a", count: 65536))
            #expect(answer.hasPrefix("HTTP/1.1 201 "))
        }
    }

    @Test(
        "a head or body that does not arrive in time closes the connection, however it trickles",
        arguments: [
            "", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ])
    func slow(text: String) async throws {
        var limits = Limits()
        limits.headTime = .milliseconds(300)
        try await withServer(limits: limits) { _ in
            Issue.record("a request came")
            return Response(status: 200)
        } body: { server in
            let start = ContinuousClock.now
            let chunks = text.utf8.map { ByteBuffer(bytes: [$0]) }
            let answer = try await server.exchange(chunks, pause: .milliseconds(chunks.isEmpty ? 0 : 15))
            #expect(answer == "")
            #expect(ContinuousClock.now - start < .seconds(30))
            #expect(ContinuousClock.now - start >= .milliseconds(250))
        }
    }

    @Test("a connection beyond the limit waits for one to go")
    func connections() async throws {
        var limits = Limits()
        limits.connections = 2
        limits.headTime = .milliseconds(1500)
        try await withServer(limits: limits) { _ in
            Response(status: 200)
        } body: { server in
            let start = ContinuousClock.now
            let idle = [try await RawConnection(port: server.port), try await RawConnection(port: server.port)]
            // The server takes what waits in one go; let it take these two first.
            try await Task.sleep(for: .milliseconds(700))
            let answer = try await server.exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 200 "))
            #expect(ContinuousClock.now - start >= .milliseconds(1450))
            for connection in idle { try await connection.close() }
        }
    }

    @Test("no bytes stop the server", arguments: 0..<8)
    func noise(seed: UInt64) async throws {
        var limits = Limits()
        limits.headTime = .milliseconds(100)
        limits.webSocket.closeTimeout = .milliseconds(100)
        limits.responseTime = .milliseconds(100)
        limits.webSocket.pingInterval = .milliseconds(50)
        limits.webSocket.pongTimeout = .milliseconds(50)
        try await withServer(limits: limits) { _ in
            Response(status: 200)
        } onUpgrade: { _ in
            .accept(subprotocol: nil) { socket in
                for await message in socket.inbound {
                    if case .text(let text) = message {
                        socket.send(ClientMessage(text) == .missingOfferFields ? "" : text)
                    }
                }
            }
        } body: { server in
            var random = Seeded(seed)
            let upgraded = handshake()
            let seeds = [
                upgraded, upgraded,
                "POST /a?b=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            ]
            for round in 0..<20 {
                var first = Array(seeds[round % seeds.count].utf8)
                // Half of the handshakes stay good, so that the noise behind them is read as frames.
                if round % 2 == 1 {
                    for _ in 0..<Int.random(in: 1...6, using: &random) {
                        first[Int.random(in: first.indices, using: &random)] = .random(in: 0...255, using: &random)
                    }
                }
                let noise = (0..<Int.random(in: 0...300, using: &random)).map { _ in
                    // Opcodes and short lengths often enough to get past the frame header.
                    Bool.random(using: &random)
                        ? UInt8.random(in: 0x80...0x8A, using: &random) : .random(in: 0...255, using: &random)
                }
                _ = try await server.exchangeBytes(
                    [ByteBuffer(bytes: first), ByteBuffer(bytes: noise)], pause: .milliseconds(5))
            }
            // On a busy machine a good request too may be late for so short a limit.
            var answer = ""
            for _ in 0..<50 where answer.isEmpty {
                answer = try await server.exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            }
            #expect(answer.hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test("a port in use gives an error that names it")
    func portInUse() async throws {
        try await withServer { server in
            let second = SignalingServer(
                configuration: ServerConfiguration(host: "127.0.0.1", port: server.port), logger: .watched,
                onHTTP: { _ in Response(status: 200) }, onUpgrade: { _ in .refuse(Response(status: 403)) })
            let error = await #expect(throws: SignalingError.self) { try await second.run() }
            #expect(error?.description == "cannot listen on 127.0.0.1 port \(server.port): Address already in use")
        }
    }

    @Test("the client posts JSON and reads the answer")
    func post() async throws {
        try await withServer { request in
            .json("{\"got\":\(String(decoding: request.body, as: UTF8.self))}", status: 402)
        } body: { server in
            let (status, body) = try await HTTPClient.post(
                url: "http://127.0.0.1:\(server.port)/a", json: "{\"token\":\"\(Self.token)\"}")
            #expect(status == 402)
            #expect(body == "{\"got\":{\"token\":\"\(Self.token)\"}}")
        }
    }

    @Test("the client asks with headers, and reads the answer")
    func get() async throws {
        try await withServer { request in
            Response(
                status: request.method == "GET" && request.headers["authorization"] == "Bearer \(Self.token)"
                    ? 200 : 500)
        } body: { server in
            let (status, body) = try await HTTPClient.get(
                url: "http://127.0.0.1:\(server.port)/a?b", headers: ["authorization": "Bearer \(Self.token)"])
            #expect(status == 200 && body.isEmpty)
        }
    }

    @Test("the client says what it could not reach")
    func unreachable() async throws {
        let error = await #expect(throws: WebSocketError.self) {
            try await HTTPClient.post(url: "http://127.0.0.1:1/", json: "{}")
        }
        #expect(error?.description.hasPrefix("cannot connect to 127.0.0.1 port 1: ") == true)
        let bad = await #expect(throws: WebSocketError.self) {
            try await WebSocketClient.connect(url: "http://127.0.0.1/")
        }
        #expect(bad?.description == "the address is not a ws:// URL: it begins with ws:// or wss://")
    }
}
