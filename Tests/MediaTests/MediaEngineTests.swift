import Audio
import Media
import STUN
import Testing
import WebRTC
import Wire

@Suite("Media engines over real sockets", .serialized)
struct MediaEngineTests {
    @Test("twenty calls connect, sound flows both ways, and after the end nothing is left")
    func twentyCalls() async throws {
        let (calling, called) = (try makeEngine(loops: 20), try makeEngine(loops: 2))
        defer { for engine in [calling, called] { engine.stop() } }
        let calls = try await withThrowingTaskGroup { group in
            for _ in 0..<20 { group.addTask { try await EngineCall(from: calling, to: called) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(calling.load == 20)
        #expect(called.loops.map(\.load) == [10, 10])
        try await eventually { calls.allSatisfy(\.isConnected) }
        for call in calls {
            try await call.caller.output.play(tone(milliseconds: 1000))
            try await call.callee.output.play(tone(milliseconds: 1000))
        }
        try await eventually {
            for call in calls {
                for side in [call.outgoing, call.incoming] {
                    guard try await side.statistics().packetsReceived >= 52 else { return false }
                }
            }
            return true
        }
        for (number, call) in calls.enumerated() {
            if number % 2 == 0 { call.outgoing.close() } else { call.incoming.close() }
        }
        try await eventually { calling.load == 0 && called.load == 0 }
        for (number, call) in calls.enumerated() {
            #expect(call.caller.end == (number % 2 == 0 ? .closed : .closedByPeer))
            #expect(call.callee.end == (number % 2 == 0 ? .closedByPeer : .closed))
            #expect(await call.caller.soundingFrames() >= 45)
            #expect(await call.callee.soundingFrames() >= 45)
            await #expect(throws: PeerConnectionError.ended) { try await call.outgoing.statistics() }
        }
        let counters = await called.counters()
        #expect(counters.unsent == 0 && counters.socketErrors == 0 && counters.oversized == 0)
        // What was on its way when a call ended.
        #expect(counters.unknownSource < 100)
        #expect(counters.sent > 20 * 52)
    }

    @Test("noise at the port is counted, answered by nothing, and disturbs no call")
    func noise() async throws {
        let (calling, called) = (try makeEngine(), try makeEngine())
        defer { for engine in [calling, called] { engine.stop() } }
        let call = try await EngineCall(from: calling, to: called)
        try await eventually { call.isConnected }
        let stranger = TestSocket()
        let port = called.loops[0].addresses[0].port
        var check: [UInt8] = [0, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42] + [UInt8](repeating: 7, count: 12)
        check += [0, 6, 0, 8] + Array("abcd:efg".utf8)
        for number in 0..<100 {
            stranger.send([], to: port)
            stranger.send([UInt8](repeating: UInt8(number), count: 3000), to: port)
            stranger.send([0x80, 111] + [UInt8](repeating: UInt8(number), count: 60), to: port)
            stranger.send([22, 254, 253] + [UInt8](repeating: UInt8(number), count: 60), to: port)
            stranger.send(check, to: port)
        }
        try await eventually {
            let counters = await called.counters()
            return counters.oversized >= 200 && counters.unknownSource >= 300
        }
        #expect(stranger.receive() == nil)
        try await call.caller.output.play(tone(milliseconds: 500))
        try await eventually { try await call.incoming.statistics().packetsReceived >= 25 }
        #expect(call.callee.end == nil)
    }

    @Test("what a STUN server says of a port is a candidate of the calls that come then")
    func reflexive() async throws {
        let server = TestSocket()
        let serverPort = try #require(server.bind())
        let engine = try makeEngine()
        defer { engine.stop() }
        engine.gather(from: [SocketAddress(ipv4: 0x7f00_0001, port: serverPort)]) { _ in }
        let early = Side()
        let (call, _) = try await engine.offer(early.settings) { early.note($0) }
        #expect(try await call.localCandidates().count == 1)
        #expect(early.trickled.isEmpty)
        var request: [UInt8] = []
        try await eventually {
            request = server.receive() ?? []
            return !request.isEmpty
        }
        let mapped = SocketAddress(ipv4: 0xcb00_7105, port: 61_000)
        var builder = STUNBuilder(.success, id: try STUNMessage(parsing: request.span).id)
        builder.add(xorMappedAddress: mapped)
        let port = engine.loops[0].addresses[0].port
        server.send(builder.finish(key: nil), to: port)
        try await eventually {
            try await candidates(of: engine).contains {
                $0.hasSuffix(" 203.0.113.5 61000 typ srflx raddr 127.0.0.1 rport \(port)")
            }
        }
        #expect(await engine.counters().unknownSource == 0)
        // The call that was there before is told by itself, and that this is all.
        let told = try await call.localCandidates()
        #expect(told.count == 2)
        #expect(early.trickled == [told.last, nil])
    }

    @Test("a public address has the loop's port, and nobody is asked about it")
    func publicAddress() async throws {
        let server = TestSocket()
        let serverPort = try #require(server.bind())
        let engine = try MediaEngine(
            addresses: [loopback], publicAddresses: [SocketAddress(ipv4: 0xcb00_7105, port: 0)], ports: nil, loops: 1)
        defer { engine.stop() }
        engine.gather(from: [SocketAddress(ipv4: 0x7f00_0001, port: serverPort)]) { _ in }
        let port = engine.loops[0].addresses[0].port
        let candidates = try await candidates(of: engine)
        #expect(candidates.count == 2)
        #expect(candidates[1].hasSuffix(" 203.0.113.5 \(port) typ srflx raddr 127.0.0.1 rport \(port)"))
        #expect(server.receive() == nil)
    }

    /// What a call's offer would have.
    private func candidates(of engine: MediaEngine) async throws -> [String] {
        let (call, _) = try await engine.offer(Side().settings) { _ in }
        defer { call.close() }
        return try await call.localCandidates()
    }

    @Test("a loop out of time has the encoders of its calls do less, and of those to come")
    func lessEffort() async throws {
        let (calling, called) = (try makeEngine(loops: 2), try makeEngine())
        defer { for engine in [calling, called] { engine.stop() } }
        let call = try await EngineCall(from: calling, to: called)
        try await eventually { call.isConnected }
        let usual = try await call.incoming.statistics().complexity
        try await eventually {
            try await called.loops[0].perform { _ in compute(milliseconds: 600) }
            return try await call.incoming.statistics().complexity < usual
        }
        let next = try await EngineCall(from: calling, to: called)
        try await eventually { next.isConnected }
        #expect(try await next.incoming.statistics().complexity < usual)
        #expect(try await call.outgoing.statistics().complexity == usual)
    }

    @Test("a destination that the kernel refuses costs its own datagrams only")
    func refusedDestination() async throws {
        let (calling, called) = (try makeEngine(), try makeEngine())
        defer { for engine in [calling, called] { engine.stop() } }
        // From a socket bound to loopback there is no way to these: EINVAL.
        let offered = try await calling.offer(Side().settings) { _ in }
        let hostile = Side()
        let answered = try await called.answer(offer: offered.offer, hostile.settings) { hostile.note($0) }
        for host in ["198.51.100.1", "203.0.113.200", "192.0.2.255"] {
            answered.call.addRemoteCandidate("candidate:1 1 udp 2130706431 \(host) 9999 typ host")
        }
        try await eventually { await called.counters().unsent >= 3 }
        #expect(await called.counters().socketErrors == 0)
        let call = try await EngineCall(from: calling, to: called)
        try await eventually { call.isConnected }
    }

    @Test("two addresses: both are offered, and a call finds its way")
    func twoAddresses() async throws {
        let other = SocketAddress(ipv4: 0x7f00_0002, port: 0)
        let calling = try makeEngine(addresses: [loopback, other])
        let called = try makeEngine(addresses: [loopback, other])
        defer { for engine in [calling, called] { engine.stop() } }
        #expect(called.loops[0].addresses.count == 2)
        let call = try await EngineCall(from: calling, to: called)
        #expect(try await call.outgoing.localCandidates().count == 2)
        try await eventually { call.isConnected }
    }

    @Test("a second call from an address that is in use does not take the first one's media")
    func sharedAddress() async throws {
        let (calling, called) = (try makeEngine(), try makeEngine())
        defer { for engine in [calling, called] { engine.stop() } }
        let first = try await EngineCall(from: calling, to: called)
        try await eventually { first.isConnected }
        let second = try await EngineCall(from: calling, to: called)
        try await Task.sleep(for: .milliseconds(500))
        try await first.caller.output.play(tone(milliseconds: 1000))
        try await eventually { try await first.incoming.statistics().packetsReceived >= 50 }
        #expect(try await first.incoming.statistics().packetsLost == 0)
        #expect(!second.callee.isConnected)
    }

    @Test("a port that is taken is named in the error")
    func takenPort() throws {
        let holder = TestSocket()
        let port = try #require(holder.bind())
        #expect {
            try MediaEngine(addresses: [loopback], ports: port...port, loops: 1)
        } throws: {
            "\($0)" == "cannot bind UDP 127.0.0.1:\(port): Address already in use"
        }
    }

    @Test("an address that the machine does not have is named, too many are refused")
    func badAddresses() throws {
        #expect(throws: MediaError.bind(SocketAddress(ipv4: 0xc000_0201, port: 0), errno: 99)) {
            try makeEngine(addresses: [SocketAddress(ipv4: 0xc000_0201, port: 0)])
        }
        #expect(throws: MediaError.tooManyAddresses(64, limit: 62)) {
            try makeEngine(addresses: [SocketAddress](repeating: loopback, count: 64))
        }
    }

    @Test("there are no more loops than ports")
    func portRange() throws {
        var engine: MediaEngine?
        // Until three ports in a row are free.
        for first in stride(from: 20_000 as UInt16, to: 30_000, by: 3) where engine == nil {
            engine = try? MediaEngine(addresses: [loopback], ports: first...first + 2, loops: 5)
        }
        let found = try #require(engine)
        #expect(found.loops.count == 3)
        found.stop()
    }

    @Test("stop ends every call, refuses what comes later, and frees the port")
    func stop() async throws {
        let (calling, called) = (try makeEngine(), try makeEngine())
        let call = try await EngineCall(from: calling, to: called)
        try await eventually { call.isConnected }
        let port = called.loops[0].addresses[0].port
        called.stop()
        called.stop()
        try await eventually { called.load == 0 && calling.load == 0 }
        #expect(call.callee.end == .closed)
        #expect(call.caller.end == .closedByPeer)
        await #expect(throws: MediaError.stopped) { try await call.incoming.statistics() }
        await #expect(throws: MediaError.stopped) { try await called.offer(Side().settings) { _ in } }
        #expect(called.load == 0)
        try await eventually { TestSocket().bind(port: port) != nil }
        calling.stop()
    }

    @Test("a call that is placed while the engine stops ends or is refused")
    func placedWhileStopping() async throws {
        for _ in 0..<20 {
            let engine = try makeEngine()
            let side = Side()
            async let placed = try? engine.offer(side.settings) { side.note($0) }
            engine.stop()
            if await placed != nil { try await eventually { side.end == .closed } }
            try await eventually { engine.load == 0 }
        }
    }

    @Test("an offer that cannot be answered leaves nothing behind")
    func badOffer() async throws {
        let engine = try makeEngine()
        defer { engine.stop() }
        for _ in 0..<10 {
            await #expect(throws: PeerConnectionError.self) {
                try await engine.answer(offer: "v=0\r\n", Side().settings) { _ in }
            }
        }
        #expect(engine.load == 0)
    }

    @Test("starting and stopping leaves no file open and no thread running")
    func leaks() async throws {
        let (files, threads) = (openFiles(), mediaThreads())
        let first = try makeEngine(loops: 2)
        try await eventually { mediaThreads() >= 2 }
        #expect(openFiles() >= 4)
        first.stop()
        for _ in 0..<50 { try makeEngine(loops: 2).stop() }
        // Other tests open files meanwhile; a hundred sockets would stand out.
        try await eventually { openFiles() <= files + 40 && mediaThreads() <= threads + 20 }
    }
}
