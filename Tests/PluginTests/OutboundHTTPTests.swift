import Foundation
import OutboundHTTP
import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import HTTPAuth

/// What the plugins ask servers with, against servers that do not mean well.
@Suite("Requests of the gateway's own")
struct OutboundHTTPTests {
    private static func get(
        _ server: LoopbackServer, within timeout: Duration = .seconds(10), limit: Int = 1000
    ) async throws -> HTTPReply {
        try await OutboundHTTP.get(HTTPEndpoint(server.url + "/keys?a=b"), within: timeout, limit: limit)
    }

    @Test("fetches a document")
    func get() async throws {
        let server = try await LoopbackServer { _ in .responds(200, #"{"keys":[]}"#) }
        let reply = try await Self.get(server)
        #expect(reply == HTTPReply(status: 200, body: Array(#"{"keys":[]}"#.utf8)))
        let request = try #require(server.received.first)
        #expect(request.hasPrefix("GET /keys?a=b HTTP/1.1\r\n"))
        #expect(request.lowercased().contains("\r\naccept: application/json\r\n"))
        try await server.stop()
    }

    @Test("sends one, with the header fields that it is given")
    func post() async throws {
        let server = try await LoopbackServer { _ in .responds(403, "no") }
        let reply = try await OutboundHTTP.post(
            #"{"a":1}"#, to: HTTPEndpoint(server.url + "/check"), headers: ["x-gateway": "p4ss"], within: .seconds(10),
            limit: 1000)
        #expect(reply.status == 403 && reply.body == Array("no".utf8))
        let request = try #require(server.received.first)
        #expect(request.hasPrefix("POST /check HTTP/1.1\r\n") && request.hasSuffix("\r\n\r\n" + #"{"a":1}"#))
        #expect(request.lowercased().contains("\r\ncontent-type: application/json\r\n"))
        #expect(request.lowercased().contains("\r\nx-gateway: p4ss\r\n"))
        try await server.stop()
    }

    @Test("is not led elsewhere", arguments: [301, 302, 303, 307, 308])
    func redirect(status: Int) async throws {
        let elsewhere = try await LoopbackServer { _ in .responds(200, "elsewhere") }
        let server = try await LoopbackServer { [url = elsewhere.url] _ in
            .responds(status, headers: ["location: \(url)/"])
        }
        #expect(try await Self.get(server).status == status)
        #expect(elsewhere.received.isEmpty)
        try await server.stop()
        try await elsewhere.stop()
    }

    @Test("takes a body as long as it may be, and none that is longer", arguments: [999, 1000, 1001, 100_000])
    func limit(length: Int) async throws {
        let server = try await LoopbackServer { _ in .responds(200, String(repeating: "x", count: length)) }
        if length <= 1000 {
            #expect(try await Self.get(server).body.count == length)
        } else {
            await #expect(throws: OutboundHTTPError.tooLong(limit: 1000)) { try await Self.get(server) }
        }
        try await server.stop()
    }

    @Test("nor one that does not say how long it is")
    func chunked() async throws {
        let chunk = "200\r\n" + String(repeating: "x", count: 512) + "\r\n"
        let head = "HTTP/1.1 200 Any\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        let server = try await LoopbackServer { _ in
            .sends(head + String(repeating: chunk, count: 3) + "0\r\n\r\n")
        }
        await #expect(throws: OutboundHTTPError.tooLong(limit: 1000)) { try await Self.get(server) }
        #expect(try await Self.get(server, limit: 1536).body.count == 1536)
        try await server.stop()
    }

    @Test("waits for no longer than it may: for the answer, and for all of it", arguments: [0, 1, 2])
    func late(kind: Int) async throws {
        let head = "HTTP/1.1 200 Any\r\ncontent-length: 900\r\nx-slow: a"
        let server = try await LoopbackServer { _ in
            switch kind {
            case 0: .isSilent
            case 1: .drips(head)
            default: .drips(head + "\r\n\r\n")
            }
        }
        let start = ContinuousClock.now
        await #expect(throws: OutboundHTTPError.late(.milliseconds(300))) {
            try await Self.get(server, within: .milliseconds(300))
        }
        // 900 blanks would take 18 s.
        #expect(start.duration(to: .now) < .seconds(10))
        try await server.stop()
    }

    @Test(
        "says when a connection breaks, or what comes is not HTTP",
        arguments: ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 Any\r\ncontent-length: 9\r\n\r\nx"])
    func broken(bytes: String) async throws {
        let server = try await LoopbackServer { _ in bytes.isEmpty ? .closes : .sends(bytes) }
        let error = await #expect(throws: OutboundHTTPError.self) { try await Self.get(server) }
        guard case .failed? = error else {
            Issue.record("\(error.map(\.description) ?? "no error")")
            return
        }
        try await server.stop()
    }

    @Test("says at once when nobody is there")
    func refused() async throws {
        let server = try await LoopbackServer { _ in .closes }
        try await server.stop()
        let start = ContinuousClock.now
        await #expect(throws: OutboundHTTPError.self) { try await Self.get(server, within: .seconds(60)) }
        #expect(start.duration(to: .now) < .seconds(30))
    }

    @Test("ends when nobody waits for it any more")
    func cancelled() async throws {
        let server = try await LoopbackServer { _ in .isSilent }
        let waiting = Task { try await Self.get(server, within: .seconds(3600)) }
        while server.received.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
        waiting.cancel()
        await #expect(throws: OutboundHTTPError.self) { try await waiting.value }
        try await server.stop()
    }

    @Test("a slow server is asked a hundred things at once")
    func manyAtOnce() async throws {
        let server = try await LoopbackServer { _ in .isSilent }
        let waiting = Task {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<100 { group.addTask { _ = try? await Self.get(server, within: .seconds(3600)) } }
            }
        }
        for _ in 0..<3000 where server.received.count < 100 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(server.received.count == 100)
        waiting.cancel()
        await waiting.value
        try await server.stop()
    }

    @Test("the auth plugin asks an endpoint with it")
    func plugin() async throws {
        let server = try await LoopbackServer { request in
            request.contains(#""token":"good""#) ? .responds(200, #"{"user":"7"}"#) : .responds(401)
        }
        let auth = try HTTPAuth.watched("{ url: \"\(server.url)/check\", timeout: 10s }")
        var request = ConnectRequest(tenant: "default", runs: WorkflowRuns(store: MemoryStore(), tenant: "default"))
        request.bearerToken = "good"
        #expect(try await auth.authenticate(request).principal?.id == "7")
        request.bearerToken = "bad"
        #expect(try await auth.authenticate(request).denial?.code == "invalid_token")
        try await server.stop()
        await #expect(throws: HTTPAuthError.self) { try await auth.authenticate(request) }
    }
}
