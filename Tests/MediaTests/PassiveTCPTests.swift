import Audio
import Media
import STUN
import TestSupport
import Testing
import WebRTC
import Wire

@Suite("Calls over TCP (RFC 6544)", .serialized)
struct PassiveTCPTests {
    private func engine(loops: Int = 1) throws -> MediaEngine {
        try MediaEngine(addresses: [loopback], ports: nil, tcpPort: 0, loops: loops)
    }

    private func place(_ caller: TCPCaller, _ engine: MediaEngine, _ side: Side) async throws -> MediaCall {
        let (call, answer) = try await engine.answer(offer: caller.peer.makeOffer(), side.settings) { side.note($0) }
        try caller.accept(answer: answer.sdp)
        return call
    }

    @Test("sound flows both ways, whichever loop the call is on")
    func calls() async throws {
        let engine = try engine(loops: 3)
        defer { engine.stop() }
        for seed in 1...6 as ClosedRange<UInt64> {
            let (caller, side) = (try TCPCaller(seed: seed), Side())
            let call = try await place(caller, engine, side)
            try await side.output.play(tone(milliseconds: 500))
            try await caller.output.play(tone(milliseconds: 500))
            try await eventually {
                caller.step()
                return try await call.statistics().packetsReceived >= 25
                    && caller.peer.currentStatistics().packetsReceived >= 25
            }
            #expect(caller.isConnected && side.isConnected)
            #expect(try await call.statistics().packetsLost == 0)
            if seed % 2 == 0 { call.close() }
        }
        #expect(await engine.counters().sent > 150)
        #expect(engine.loops.allSatisfy { $0.load > 0 })
    }

    @Test("when the engine stops the port is free, and connections that said nothing are closed")
    func stop() async throws {
        let engine = try engine()
        let port = try #require(try await port(of: engine))
        let stream = TestStream(to: port)
        try await Task.sleep(for: .milliseconds(20))
        #expect(stream.read() != nil)
        engine.stop()
        try await eventually { stream.read() == nil && TestStream(to: port).read() == nil }
    }

    private func port(of engine: MediaEngine) async throws -> UInt16? {
        let caller = try TCPCaller(seed: 1)
        let answer = try await engine.answer(offer: caller.peer.makeOffer(), Side().settings) { _ in }.answer.sdp
        let line = answer.split(separator: "\r\n").first { $0.contains("tcptype passive") }
        return line.flatMap { UInt16($0.split(separator: " ")[5]) }
    }

    @Test("one port, at every address, in the answer; a public address has it too")
    func candidates() async throws {
        let engine = try MediaEngine(
            addresses: [loopback], publicAddresses: [SocketAddress(ipv4: 0xcb00_7105, port: 0)], ports: nil, tcpPort: 0,
            loops: 2)
        defer { engine.stop() }
        var ports: Set<Substring> = []
        for seed in 1...2 as ClosedRange<UInt64> {
            let caller = try TCPCaller(seed: seed)
            let answer = try await engine.answer(offer: caller.peer.makeOffer(), Side().settings) { _ in }.answer.sdp
            let lines = answer.split(separator: "\r\n").filter { $0.contains(" tcptype passive") }
            #expect(lines.count == 2)
            #expect(lines[0].contains(" 1 tcp ") && lines[0].contains(" 127.0.0.1 "))
            #expect(lines[1].contains(" 203.0.113.5 ") && lines[1].contains(" typ srflx raddr 127.0.0.1 "))
            ports.formUnion(lines.map { $0.split(separator: " ")[5] })
        }
        #expect(ports.count == 1)
    }

    @Test("a connection that breaks is replaced by the next one of the same call")
    func reconnect() async throws {
        let engine = try engine()
        defer { engine.stop() }
        let (caller, side) = (try TCPCaller(seed: 9), Side())
        let call = try await place(caller, engine, side)
        try await eventually {
            caller.step()
            return caller.isConnected && side.isConnected
        }
        caller.reconnect()
        let before = try await call.statistics().packetsReceived
        try await eventually {
            if !caller.output.isPlaying { try await caller.output.play(tone(milliseconds: 100)) }
            caller.step()
            return try await call.statistics().packetsReceived >= before + 25
        }
        #expect(side.end == nil)
    }

    @Test("who says nothing of use is cut off at once, in pieces or whole", arguments: 0..<4)
    func strangers(kind: Int) async throws {
        let engine = try engine()
        defer { engine.stop() }
        let port = try #require(try await port(of: engine))
        let stream = TestStream(to: port)
        switch kind {
        case 0: stream.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        case 1: stream.send(framed: [22, 254, 253] + [UInt8](repeating: 0, count: 60))
        case 2:
            var request = STUNBuilder(.request, id: TransactionID(tag: 1, rest: 2))
            request.add(username: "nobody12:somebody")
            let bytes = request.finish(key: [1, 2, 3])
            stream.send([0, UInt8(bytes.count)] + bytes.prefix(7))
            try await Task.sleep(for: .milliseconds(20))
            stream.send(Array(bytes.dropFirst(7)))
        default: stream.send([0xff, 0xff])
        }
        try await eventually { stream.read() == nil }
    }

    @Test("who knows the name of a call and not its key gets sixteen connections and no more", arguments: [1, 3])
    func manyToOneCall(loops: Int) async throws {
        let engine = try engine(loops: loops)
        defer { engine.stop() }
        // On the last loop, so that connections come there from the first.
        var answer = ""
        for seed in 1...loops {
            answer = try await engine.answer(
                offer: TCPCaller(seed: UInt64(seed)).peer.makeOffer(), Side().settings
            ) { _ in }.answer.sdp
        }
        let lines = answer.split(separator: "\r\n")
        let ufrag = try #require(lines.first { $0.hasPrefix("a=ice-ufrag:") }?.dropFirst(12))
        let port = try #require(
            lines.first { $0.contains("tcptype passive") }.flatMap { UInt16($0.split(separator: " ")[5]) })
        let streams = (0..<25).map { _ in TestStream(to: port) }
        for stream in streams {
            var request = STUNBuilder(.request, id: TransactionID(tag: 1, rest: 2))
            request.add(username: ufrag + ":whoever")
            stream.send(framed: request.finish(key: [1, 2, 3]))
        }
        try await eventually { streams.count { $0.read() == nil } == 9 }
        try await Task.sleep(for: .seconds(1))
        #expect(streams.count { $0.read() == nil } == 9)
    }

    @Test("and who does not speak has ten seconds, of which one host may spend no more than 32 at a time")
    func silent() async throws {
        let engine = try engine()
        defer { engine.stop() }
        let port = try #require(try await port(of: engine))
        let streams = (0..<40).map { _ in TestStream(to: port) }
        try await eventually { streams.count { $0.read() == nil } == 8 }
        let start = MonotonicTime.now()
        try await eventually { streams.allSatisfy { $0.read() == nil } }
        #expect((9_000...13_000).contains((MonotonicTime.now() - start).milliseconds))
    }
}
