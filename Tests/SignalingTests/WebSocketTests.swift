import NIOCore
import ServiceLifecycle
import Signaling
import Synchronization
import TestSupport
import Testing
import WebSocket

/// Sends back the texts it gets, until a binary message comes.
private let echo: @Sendable (Request) async -> Upgrade = { _ in
    .accept(subprotocol: nil) { socket in
        for await message in socket.inbound {
            switch message {
            case .text(let text): socket.send(text)
            case .binary(let bytes): return socket.send("\(bytes.count) bytes")
            case .closed: break
            }
        }
    }
}

@Suite("WebSocket, RFC 6455")
struct WebSocketTests {
    private static let token = Leaks.secret("a bearer token", "token-of-a-caller")

    @Test("a client is accepted, its subprotocol echoed, and its text comes back")
    func accept() async throws {
        try await withSockets { request in
            guard request.path == ["a", "b"], request.query["token"] == Self.token,
                request.headers["sec-websocket-protocol"] == "bearer, \(Self.token)"
            else { return .refuse(Response(status: 400)) }
            return .accept(subprotocol: "bearer") { socket in
                for await message in socket.inbound {
                    if case .text(let text) = message { socket.send(text) }
                }
            }
        } body: { server in
            let socket = try await WebSocketClient.connect(
                url: server.url + "/a/b?token=\(Self.token)",
                headers: ["Sec-WebSocket-Protocol": "bearer, \(Self.token)"])
            var messages = socket.inbound.makeAsyncIterator()
            for text in ["hello", "", "grüße 😀", String(repeating: "x", count: 65536)] {
                socket.send(text)
                #expect(await messages.next() == .text(text))
            }
            await socket.close(code: 1000, reason: "done")
            #expect(await messages.next() == .closed(code: 1000, reason: "done"))
            #expect(await messages.next() == nil)

            let fields = "Sec-WebSocket-Protocol: bearer, \(Self.token)\r\n"
            let reply = Reply(
                try await server.exchangeBytes([
                    ByteBuffer(string: handshake("/a/b?token=\(Self.token)", fields)), frame(8),
                ]))
            #expect(reply.head.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
            #expect(reply.head.lowercased().contains("sec-websocket-protocol: bearer\r\n"))
            #expect(reply.head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
        }
    }

    @Test("a refusal is the response given, on the wire and in the client's error")
    func refuse() async throws {
        try await withSockets { request in
            .refuse(request.path == ["x"] ? .json(#"{"detail":"Bad run"}"#, status: 400) : Response(status: 403))
        } body: { server in
            let answer = try await server.exchange(handshake())
            #expect(answer == "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            let error = await #expect(throws: WebSocketError.self) {
                try await WebSocketClient.connect(url: server.url + "/x")
            }
            #expect(error == .refused(status: 400, body: #"{"detail":"Bad run"}"#))
        }
    }

    @Test("a handshake that breaks the rules is answered 400 and goes no further")
    func badHandshake() async throws {
        try await withSockets { _ in
            Issue.record("asked")
            return .refuse(Response(status: 403))
        } body: { server in
            let good = handshake()
            for bad in [
                good.replacing("Version: 13", with: "Version: 8"),
                good.replacing("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", with: ""),
            ] {
                let answer = try await server.exchange(bad)
                #expect(answer.hasPrefix("HTTP/1.1 400 "))
            }
        }
    }

    @Test("a connection that served a request before can be upgraded, as proxies do")
    func reused() async throws {
        var limits = Limits()
        limits.webSocket.closeTimeout = .milliseconds(100)
        try await withServer(limits: limits) { _ in
            Response(status: 204)
        } onUpgrade: {
            await echo($0)
        } body: { server in
            let requests = ByteBuffer(string: "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + handshake())
            let bytes = try await server.exchangeBytes([requests, text("a"), frame(2, [1])])
            let first = "HTTP/1.1 204 No Content\r\n\r\n"
            #expect(String(buffer: bytes).hasPrefix(first))
            #expect(Reply(bytes.dropping(first.utf8.count)).texts == ["a", "1 bytes"])
        }
    }

    @Test("fragments are joined, and a ping between them is answered at once")
    func fragments() async throws {
        var limits = Limits()
        limits.webSocket.closeTimeout = .milliseconds(100)
        try await withServer(limits: limits, onUpgrade: echo) { server in
            var frames = [text("0", final: false)]
            for digit in 1..<15 { frames.append(frame(0, Array("\(digit % 10)".utf8), final: false)) }
            frames += [frame(9, [7]), frame(0, Array("é".utf8)), frame(2, [1, 2, 3])]
            let reply = try await server.frames(frames)
            #expect(reply.frames.map(\.opcode) == [10, 1, 1, 8])
            #expect(reply.frames.first?.payload == [7])
            #expect(reply.texts == ["012345678901234é", "3 bytes"])
            #expect(reply.closeCode == 1000)
        }
    }

    struct Violation: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var code: UInt16
        var frames: [ByteBuffer]

        init(_ name: String, _ code: UInt16, _ frames: [ByteBuffer]) {
            testDescription = name
            self.code = code
            self.frames = frames
        }
    }

    @Test(
        "what breaks a rule or a limit closes with its code",
        arguments: [
            Violation("65 537 bytes", 1009, [frame(1, Array(repeating: 65, count: 65537))]),
            Violation(
                "a length of 2^62", 1009, [ByteBuffer(bytes: [0x81, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])]),
            Violation(
                "a length of 2^64-1", 1009, [ByteBuffer(bytes: [0x81, 0xFF] + Array(repeating: 0xFF, count: 12))]),
            Violation(
                "fragments of 65 537 bytes", 1009,
                [frame(1, Array(repeating: 65, count: 65536), final: false), frame(0, [65])]),
            Violation(
                "17 fragments", 1008,
                [text("a", final: false)] + Array(repeating: frame(0, [65], final: false), count: 16)),
            // Far more than 60, since 20 a second are let through while they arrive.
            Violation("over 60 messages at once", 1008, Array(repeating: text("a"), count: 600)),
            Violation("over 60 pings at once", 1008, Array(repeating: frame(9), count: 600)),
            Violation("text not UTF-8", 1007, [frame(1, [0xC3, 0x28])]),
            Violation("text with a surrogate", 1007, [frame(1, [0xED, 0xA0, 0x80])]),
            Violation("no mask", 1002, [frame(1, [65], masked: false)]),
            Violation("reserved bit", 1002, [frame(1, [65], reserved: 0x40)]),
            Violation("reserved opcode", 1002, [frame(3)]),
            Violation("reserved control opcode", 1002, [frame(11)]),
            Violation("nothing to continue", 1002, [frame(0, [65])]),
            Violation("a message inside a fragmented one", 1002, [text("a", final: false), text("b")]),
            Violation("fragmented ping", 1002, [frame(9, final: false)]),
            Violation("ping of 126 bytes", 1002, [frame(9, Array(repeating: 0, count: 126))]),
            Violation("close frame of one byte", 1002, [frame(8, [3])]),
            Violation("close code 1005", 1002, [frame(8, [0x03, 0xED])]),
            Violation("close code 999", 1002, [frame(8, [0x03, 0xE7])]),
            Violation("close reason not UTF-8", 1007, [frame(8, [0x03, 0xE8, 0xFF])]),
            Violation("a good close", 4000, [frame(8, [0x0F, 0xA0, 65])]),
            Violation("a close without a code", 0, [frame(8)]),
        ])
    func violations(violation: Violation) async throws {
        // The connection ends at once, not only after the time for the peer's close frame.
        var limits = Limits()
        limits.webSocket.closeTimeout = .seconds(300)
        let (ends, end) = AsyncStream.makeStream(of: WebSocketConnection.Inbound.self)
        try await withSockets(limits: limits) { _ in
            .accept(subprotocol: nil) { socket in
                for await message in socket.inbound {
                    if case .closed = message { end.yield(message) }
                }
                end.finish()
            }
        } body: { server in
            let start = ContinuousClock.now
            let reply = try await server.frames(violation.frames)
            #expect(reply.closeCode == violation.code)
            #expect(ContinuousClock.now - start < .seconds(60))
            var seen: [WebSocketConnection.Inbound] = []
            for await element in ends { seen.append(element) }
            #expect(seen.count == 1)
            guard case .closed(let code, let reason) = try #require(seen.first) else { return }
            #expect(code == (violation.code == 0 ? 1005 : violation.code))
            #expect(violation.code != 4000 || reason == "A")
        }
    }

    @Test("a slow reader makes the client wait, and loses nothing")
    func backpressure() async throws {
        var limits = Limits()
        limits.webSocket.inboundQueue = 64 * 1024
        let (counts, count) = AsyncStream.makeStream(of: Int.self)
        try await withSockets(limits: limits) { _ in
            .accept(subprotocol: nil) { socket in
                try? await Task.sleep(for: .milliseconds(300))
                var bytes = 0
                for await message in socket.inbound {
                    if case .text(let text) = message { bytes += text.utf8.count }
                }
                count.yield(bytes)
            }
        } body: { server in
            let big = frame(1, Array(repeating: 65, count: 60000))
            _ = try await server.frames(Array(repeating: big, count: 50) + [frame(8)])
            var iterator = counts.makeAsyncIterator()
            #expect(await iterator.next() == 50 * 60000)
        }
    }

    @Test("a server that says much at once is read no faster than its rate, and loses nothing")
    func talkativeServer() async throws {
        let (size, count) = (4000, 400)
        try await withSockets { _ in
            .accept(subprotocol: nil) { socket in
                for number in 0..<count {
                    while !socket.send(.text(String(repeating: "\(number % 10)", count: size)), droppable: true) {
                        try? await Task.sleep(for: .milliseconds(1))
                    }
                }
                await socket.close(code: 1000, reason: "")
            }
        } body: { server in
            var limits = WebSocketLimits()
            (limits.messageRate, limits.messageBurst) = (500, 50)
            let socket = try await WebSocketClient.connect(url: server.url + "/", limits: limits)
            let begun = ContinuousClock.now
            var seen = 0
            for await message in socket.inbound {
                guard case .text(let text) = message else { continue }
                #expect(text.utf8.first == UInt8(ascii: "0") + UInt8(seen % 10) && text.utf8.count == size)
                seen += 1
            }
            #expect(seen == count)
            // But for the burst, and what one read brought.
            #expect(.now - begun > .milliseconds(500))
        }
    }

    @Test("a client that does not read loses droppable messages first, then the socket")
    func slowClient() async throws {
        var limits = Limits()
        limits.webSocket.closeTimeout = .milliseconds(200)
        let (ends, end) = AsyncStream.makeStream(of: WebSocketConnection.Inbound.self)
        try await withSockets(limits: limits) { _ in
            .accept(subprotocol: nil) { socket in
                let big = String(repeating: "x", count: 50000)
                // More than the kernels of both sides hold.
                for _ in 0..<600 {
                    socket.send(big, droppable: true)
                    try? await Task.sleep(for: .milliseconds(1))
                }
                socket.send("\(big)\(big)\(big)\(big)\(big)\(big)")
                for await message in socket.inbound { end.yield(message) }
                end.finish()
            }
        } body: { server in
            var seen: [WebSocketConnection.Inbound] = []
            let bytes = try await server.exchangeBytes([ByteBuffer(string: handshake())]) {
                for await element in ends { seen.append(element) }
            }
            #expect(bytes.readableBytes < 600 * 50000)
            #expect(seen == [.closed(code: 1008, reason: "peer reads too slowly")])
        }
    }

    @Test("a client that takes nothing any more is lost, although no ping fits in; a slow one is not")
    func takesNothing() async throws {
        var limits = Limits()
        limits.webSocket.pingInterval = .milliseconds(250)
        limits.webSocket.pongTimeout = .milliseconds(1000)
        limits.webSocket.closeTimeout = .milliseconds(100)
        for isSlow in [false, true] {
            let (ends, end) = AsyncStream.makeStream(of: WebSocketConnection.Inbound.self)
            let isOver = Mutex(false)
            try await withSockets(limits: limits) { _ in
                .accept(subprotocol: nil) { socket in
                    let sending = Task {
                        let big = String(repeating: "x", count: 50_000)
                        while !Task.isCancelled {
                            socket.send(big, droppable: true)
                            try? await Task.sleep(for: .milliseconds(1))
                        }
                    }
                    for await message in socket.inbound { end.yield(message) }
                    isOver.withLock { $0 = true }
                    end.finish()
                    sending.cancel()
                }
            } body: { server in
                if isSlow {
                    var small = WebSocketLimits.ofServer
                    small.inboundQueue = 100_000
                    let client = try await WebSocketClient.connect(url: server.url, limits: small)
                    var inbound = client.inbound.makeAsyncIterator()
                    for _ in 0..<150 {
                        try #require(await inbound.next() != nil)
                        try await Task.sleep(for: .milliseconds(20))
                    }
                    #expect(isOver.withLock { $0 } == false)
                    // And not at all any more.
                    for _ in 0..<500 where !isOver.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(20)) }
                    #expect(isOver.withLock { $0 } == true)
                } else {
                    let client = try await RawConnection(port: server.port, reads: false)
                    try await client.send(handshake())
                }
                var seen: [WebSocketConnection.Inbound] = []
                for await element in ends { seen.append(element) }
                #expect(seen == [.closed(code: 1006, reason: "keepalive ping timeout")])
            }
        }
    }

    @Test(
        "a client that answers no ping is closed with 1011, and counts as lost",
        arguments: [(100, 60), (60, 100), (80, 80)])
    func silent(interval: Int, timeout: Int) async throws {
        let ends = Mutex<[WebSocketConnection.Inbound]>([])
        var limits = Limits()
        limits.webSocket.pingInterval = .milliseconds(interval)
        limits.webSocket.pongTimeout = .milliseconds(timeout)
        limits.webSocket.closeTimeout = .milliseconds(100)
        let upgrade: @Sendable (Request) async -> Upgrade = { _ in
            .accept(subprotocol: nil) { socket in
                for await message in socket.inbound { ends.withLock { $0.append(message) } }
            }
        }
        try await withServer(limits: limits, onUpgrade: upgrade) { server in
            let reply = try await server.frames([])
            // One ping at least; more when the time to answer is longer than the time between two.
            let opcodes = reply.frames.map(\.opcode)
            #expect(opcodes.last == 8)
            #expect(opcodes.count >= 2 && opcodes.dropLast().allSatisfy { $0 == 9 })
            #expect(reply.closeCode == 1011)
        }
        #expect(ends.withLock { $0 } == [.closed(code: 1006, reason: "keepalive ping timeout")])
    }

    /// What a client does whose server asks whether it is there.
    enum Asked: CaseIterable {
        case answers, isSilent, hasClosed, isLost
    }

    @Test(
        "who is asked whether it is there is lost when it says nothing, or was lost already", arguments: Asked.allCases)
    func isLost(client: Asked) async throws {
        var limits = Limits()
        limits.webSocket.closeTimeout = .milliseconds(100)
        let (answers, answer) = AsyncStream.makeStream(of: [Bool].self)
        let (starts, start) = AsyncStream.makeStream(of: Void.self)
        let (ends, end) = AsyncStream.makeStream(of: WebSocketConnection.Inbound.self)
        try await withSockets(limits: limits) { _ in
            .accept(subprotocol: nil) { socket in
                start.finish()
                if client == .hasClosed || client == .isLost {
                    for await message in socket.inbound { end.yield(message) }
                }
                let patience = Duration.milliseconds(client == .isSilent ? 300 : 30_000)
                async let first = socket.isLost(after: patience)
                async let second = socket.isLost(after: patience)
                let replies = await [first, second]
                answer.yield(replies + [await socket.isLost(after: patience)])
                if client == .isSilent { for await message in socket.inbound { end.yield(message) } }
            }
        } body: { server in
            let began = ContinuousClock.now
            var iterator = answers.makeAsyncIterator()
            var closes = ends.makeAsyncIterator()
            switch client {
            case .answers:
                let socket = try await WebSocketClient.connect(url: server.url)
                async let closed: Void = { for await _ in socket.inbound {} }()
                #expect(await iterator.next() == [false, false, false])
                #expect(ContinuousClock.now - began < .seconds(20))
                await closed
            case .isSilent:
                let reply = try await server.frames([])
                #expect(reply.frames.map(\.opcode) == [9, 8])
                #expect(reply.closeCode == 1011)
                #expect(await iterator.next() == [true, true, true])
                #expect(await closes.next() == .closed(code: 1006, reason: "keepalive ping timeout"))
            case .hasClosed:
                let reply = try await server.frames([frame(8, [0x03, 0xE8])])
                #expect(reply.closeCode == 1000)
                #expect(await iterator.next() == [false, false, false])
            case .isLost:
                let channel = try await RawConnection(port: server.port)
                try await channel.send(handshake())
                for await _ in starts {}
                try await channel.close()
                #expect(await iterator.next() == [true, true, true])
            }
        }
    }

    @Test("a client that answers pings is kept")
    func alive() async throws {
        var limits = Limits()
        limits.webSocket.pingInterval = .milliseconds(200)
        limits.webSocket.pongTimeout = .seconds(4)
        try await withServer(limits: limits, onUpgrade: echo) { server in
            let socket = try await WebSocketClient.connect(url: server.url)
            try await Task.sleep(for: .seconds(5))
            socket.send("still here")
            var messages = socket.inbound.makeAsyncIterator()
            #expect(await messages.next() == .text("still here"))
            await socket.close(code: 1000, reason: "")
        }
    }

    @Test("a close from the server carries its code and reason, and waits no longer than it may for the answer")
    func serverCloses() async throws {
        var limits = Limits()
        limits.webSocket.closeTimeout = .milliseconds(200)
        try await withSockets(limits: limits) { _ in
            .accept(subprotocol: nil) { socket in
                socket.send("bye")
                await socket.close(code: 1000, reason: "call ended")
            }
        } body: { server in
            let socket = try await WebSocketClient.connect(url: server.url)
            var messages = socket.inbound.makeAsyncIterator()
            #expect(await messages.next() == .text("bye"))
            #expect(await messages.next() == .closed(code: 1000, reason: "call ended"))
            // A raw client that never answers the close frame.
            let start = ContinuousClock.now
            let reply = try await server.frames([])
            #expect(reply.closeCode == 1000)
            #expect(ContinuousClock.now - start >= .milliseconds(200))
            #expect(ContinuousClock.now - start < .seconds(60))
        }
    }

    @Test("a lost connection ends the messages with 1006")
    func lost() async throws {
        let (ends, end) = AsyncStream.makeStream(of: WebSocketConnection.Inbound.self)
        let (starts, start) = AsyncStream.makeStream(of: Void.self)
        try await withSockets { _ in
            .accept(subprotocol: nil) { socket in
                start.finish()
                for await message in socket.inbound { end.yield(message) }
                end.finish()
            }
        } body: { server in
            let channel = try await RawConnection(port: server.port)
            try await channel.send(handshake())
            for await _ in starts {}
            try await channel.close()
            var iterator = ends.makeAsyncIterator()
            #expect(await iterator.next() == .closed(code: 1006, reason: ""))
        }
    }

    @Test("a graceful shutdown closes open sockets with 1012 and ends the server")
    func shutdown() async throws {
        let closed = Mutex<[WebSocketConnection.Inbound]>([])
        try await withServer(onUpgrade: echo) { server in
            let socket = try await WebSocketClient.connect(url: server.url)
            let idle = try await RawConnection(port: server.port)
            await server.group.triggerGracefulShutdown()
            for await message in socket.inbound { closed.withLock { $0.append(message) } }
            try await server.running.value
            try await idle.close()
        }
        #expect(closed.withLock { $0 } == [.closed(code: 1012, reason: "server is shutting down")])
    }
}
