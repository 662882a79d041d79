import PatchbayPlugin
import PatchbayTesting
import Signaling
import Synchronization
import Testing
import WebRTC
import WebSocket

@testable import PatchbayKit

@Suite("Messages beside the offer", .timeLimit(.minutes(2)))
struct OtherMessagesTests {
    private static let line = "candidate:1 1 udp 2122260223 203.0.113.9 45406 typ host"

    private static func candidate(_ pcID: String, _ value: String) -> String {
        #"{"type":"ice-candidate","payload":{"pc_id":"\#(pcID)","candidate":\#(value)}}"#
    }

    private static func renegotiate(_ pcID: String, _ sdp: String = "v=1", restart: Bool = false) -> String {
        #"{"type":"renegotiate","payload":{"pc_id":"\#(pcID)","sdp":"\#(sdp)","type":"offer","restart_pc":\#(restart)}}"#
    }

    @Test(
        "are ignored without a reply, and the call goes on",
        arguments: [
            #"{"type":"ice-candidate","payload":{"candidate":{"candidate":"\#(line)"}}}"#,
            #"{"type":"ice-candidate"}"#, #"{"type":"ice-candidate","payload":{}}"#,
            candidate("PC-unknown", #"{"candidate":"\#(line)","sdpMid":"0","sdpMLineIndex":0}"#),
            candidate("PC-elsewhere", #"{"candidate":"\#(line)","sdpMid":"0","sdpMLineIndex":0}"#),
            candidate("PC-a", #"{"candidate":"\#(line)","sdpMid":"0","sdpMLineIndex":0}"#),
            candidate("PC-a", #"{"candidate":"\#(line)"}"#), candidate("PC-a", "null"), candidate("PC-a", "{}"),
            candidate("PC-a", #"{"candidate":""}"#), candidate("PC-a", #"{"candidate":null}"#),
            candidate("PC-a", #"{"candidate":"nonsense"}"#), candidate("PC-a", #""""#),
            #"{"type":"ice-candidate","payload":{"pc_id":"PC-a"}}"#,
            #"{"type":"hello","payload":{}}"#, #"{"type":"hello","payload":null}"#, #"{"type":"answer","payload":1}"#,
            "{}", #"{"payload":{}}"#, #"{"type":7}"#, #"{"type":"OFFER","payload":{"pc_id":"PC-a"}}"#,
            #"{"type":"call-ended","payload":{"pc_id":"PC-a"}}"#,
        ])
    func ignored(text: String) async throws {
        let world = World()
        let (socket, other) = (await world.socket(), await world.socket(run: 502))
        await other.offer("PC-elsewhere")
        // Before a call, and with one.
        #expect(await socket.send(text) == [])
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        #expect(await socket.send(text) == [])
        #expect(await socket.send(Self.renegotiate("PC-a")) == Sent.answer("PC-a", to: "v=1"))
        #expect((world.leases, world.media.load) == (4, 2))
        await socket.close()
        await other.close()
        #expect(try await world.leftovers(names: ["PC-a", "PC-elsewhere"], runs: [501, 502]) == [])
    }

    @Test("a candidate reaches the peer connection of its own socket, and no other")
    func candidates() async throws {
        let world = World()
        let (socket, other) = (await world.socket(), await world.socket(user: "8"))
        func taken() -> [String] { world.media.candidates.withLock { $0 } }
        await other.offer("PC-a")
        await socket.send(Self.candidate("PC-a", #"{"candidate":"early"}"#))
        #expect(taken() == [])
        await socket.offer("PC-b")
        await socket.send(Self.candidate("PC-a", #"{"candidate":"theirs"}"#))
        await socket.send(Self.candidate("PC-b", #"{"candidate":""}"#))
        #expect(taken() == [])
        await socket.send(Self.candidate("PC-b", #"{"candidate":"ours","sdpMid":"0"}"#))
        await other.send(Self.candidate("PC-a", #"{"candidate":"own"}"#))
        #expect(taken() == ["ours", "own"])
        await socket.close()
        await other.close()
    }

    @Test(
        "a renegotiation of what is not this socket's is not found",
        arguments: [
            renegotiate("PC-unknown"), renegotiate("PC-elsewhere"), renegotiate(""),
            renegotiate("PC-elsewhere", restart: true), #"{"type":"renegotiate"}"#,
            #"{"type":"renegotiate","payload":{"sdp":"v=1","type":"offer"}}"#,
            #"{"type":"renegotiate","payload":{"pc_id":null,"sdp":"v=1","type":"offer","restart_pc":true}}"#,
        ])
    func notFound(text: String) async throws {
        let world = World()
        let (socket, other) = (await world.socket(), await world.socket(run: 502))
        await other.offer("PC-elsewhere")
        #expect(await socket.send(text) == [.notFound])
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        #expect(await socket.send(text) == [.notFound])
        #expect((world.leases, world.media.load) == (4, 2))
        #expect(other.sent == [])
        await socket.close()
        await other.close()
    }

    @Test("a renegotiation is answered without a quota or a slot", arguments: [false, true])
    func renegotiation(restarts: Bool) async throws {
        let world = World()
        let socket = await world.socket()
        await socket.offer("PC-a")
        world.everyOffer.set(.denies)
        world.newCall.set(.denies)
        let (asked, leases) = (world.everyOffer.asked, world.leases)
        for number in 1...3 {
            let reply = await socket.send(Self.renegotiate("PC-a", "v=\(number)", restart: restarts))
            #expect(reply == Sent.answer("PC-a", to: "v=\(number)"))
        }
        #expect(world.everyOffer.asked == asked)
        #expect((world.leases, world.media.load) == (leases, 1))
        await socket.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("who asks is told how a call of its own socket goes, and only then")
    func statistics() async throws {
        let world = World()
        let (socket, other) = (await world.socket(), await world.socket(run: 502))
        await other.offer("PC-elsewhere")
        #expect(await socket.send(TestSocket.getStatistics("PC-a")) == [.notFound])
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        world.media.statistics.withLock { $0?.packetsReceived = 7 }
        for question in [
            TestSocket.getStatistics("PC-elsewhere"), TestSocket.getStatistics(""), #"{"type":"get-statistics"}"#,
        ] {
            #expect(await socket.send(question) == [.notFound])
        }
        let told = Sent.statistics("PC-a", try #require(world.media.statistics.withLock { $0 }))
        #expect(await socket.send(TestSocket.getStatistics("PC-a")) == [told])
        // The new peer connection's, from here on.
        await socket.send(Self.renegotiate("PC-a", restart: true))
        #expect(await socket.send(TestSocket.getStatistics("PC-a")) == [told])
        #expect(other.sent == [])
        await socket.close()
        await other.close()
        #expect(try await world.leftovers(names: ["PC-a", "PC-elsewhere"], runs: [501, 502]) == [])
    }

    @Test("a peer connection that does not answer keeps nobody waiting, and the question is nobody's end")
    func noStatistics() async throws {
        let world = World()
        let socket = await world.socket()
        await socket.offer("PC-a")
        world.media.statistics.withLock { $0 = nil }
        let start = ContinuousClock.now
        let empty = Sent(#"{"type":"statistics","payload":{"pc_id":"PC-a"}}"#)
        #expect(await socket.send(TestSocket.getStatistics("PC-a")) == [empty])
        #expect(await socket.close().last == .closedAfterCall)
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(try await world.leftovers() == [])
    }

    @Test("a restart keeps call, pipeline, leases and run, and the old peer connection's end is nobody's end")
    func restart() async throws {
        let world = World()
        let socket = await world.socket()
        await socket.offer("PC-a")
        #expect(await eventually { world.pipelines.calls.withLock { $0["7"] } != nil })
        let held = world.newCall.held
        let call = try #require(world.pipelines.calls.withLock { $0["7"] })
        #expect(await socket.send(Self.renegotiate("PC-a", restart: true)) == Sent.answer("PC-a", to: "v=1"))
        try await Task.sleep(for: .milliseconds(50))
        #expect(socket.sent == [])
        #expect(world.newCall.held == held)
        #expect(world.media.load == 1)
        #expect(try await !world.tenant.runs.claim(501, owner: .user("7"), callID: "another"))
        // It is the same call still, and the new peer connection goes with it.
        call.hangUp(reason: "enough")
        #expect(await eventually { socket.sent.count == 2 })
        #expect(socket.take() == [.callEnded("PC-a", run: 501, reason: "enough"), .closedAfterCall])
        #expect(try await world.leftovers() == [])
        await socket.close()
    }

    @Test("a restart or renegotiation that fails leaves the call as it was", arguments: [false, true])
    func badRenegotiation(restarts: Bool) async throws {
        let world = World()
        let socket = await world.socket()
        await socket.offer("PC-a")
        #expect(await socket.send(Self.renegotiate("PC-a", "bad", restart: restarts)) == [.badOffer])
        #expect((world.leases, world.media.load) == (2, 1))
        #expect(await socket.send(Self.renegotiate("PC-a")) == Sent.answer("PC-a", to: "v=1"))
        await socket.close()
        #expect(try await world.leftovers() == [])
    }

    @Test(
        "what is no message is told so, and the socket closes with 1007",
        arguments: [
            "", "x", "[]", "1", #""offer""#, "null", "{", #"{"type":"offer","payload":null}"#,
            #"{"type":"offer","payload":[]}"#, #"{"type":"ice-candidate","payload":null}"#,
            #"{"type":"renegotiate","payload":"x"}"#, candidate("PC-a", #""\#(line)""#), candidate("PC-a", "[1]"),
            candidate("PC-a", #"{"candidate":1}"#), #"{"type":"offer","type":"x"}"#, "{\"type\":\"a\u{0}\"}",
        ])
    func malformed(text: String) async throws {
        let world = World()
        let socket = await world.socket()
        await socket.offer("PC-a")
        try expectMalformed(await socket.send(text))
        #expect(await socket.close().last == .closedAfterCall)
        #expect(try await world.leftovers() == [])
        // Another socket is served.
        let next = await world.socket(run: 502)
        #expect(await next.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await next.close()
    }

    @Test("so is a binary frame")
    func binary() async throws {
        let world = World()
        let socket = await world.socket()
        try expectMalformed(await socket.send(.binary([0, 255])))
        await socket.close()
        #expect(try await world.leftovers() == [])
    }

    private func expectMalformed(_ reply: [Sent]) throws {
        try #require(reply.count == 2)
        guard case .message(let error) = reply[0] else {
            Issue.record("\(reply)")
            return
        }
        #expect(error["type"] == "error")
        #expect(error["payload"]?["message"]?.string?.hasPrefix("Malformed message: ") == true)
        #expect(error["payload"]?.object?.count == 1)
        #expect(reply[1] == .closedAsMalformed)
    }

    @Test(
        "when a call ends by itself the client is told, and then the socket closes with 1000",
        arguments: [
            ("returns", "pipeline_finished"), ("throws", "pipeline_failed"), ("hangs up", "enough"),
        ])
    func callEnds(way: String, reason: String) async throws {
        let world = World { call, audio in
            switch way {
            case "returns": return
            case "throws": throw CallerError("broken")
            default:
                call.hangUp(reason: "enough")
                for await _ in audio.input {}
            }
        }
        let socket = await world.socket()
        // The end may come right behind the answer.
        let replies = await socket.offer("PC-a")
        #expect(await eventually { replies.count + socket.sent.count == 4 })
        let end = [Sent.callEnded("PC-a", run: 501, reason: reason), .closedAfterCall]
        #expect(replies + socket.take() == Sent.answer("PC-a", to: "v=0") + end)
        #expect(try await world.leftovers() == [])
        #expect(try await world.tenant.runs.find(501, owner: .user("7"))?.hasEnded == true)
        await socket.close()
    }

    @Test(
        "the store remembers a run that nobody registered as long as the tenant says, and then it can be called again")
    func openRunIsForgotten() async throws {
        let clock = TestClock()
        let world = World(store: MemoryStore(wallClock: { clock.now }))
        let socket = await world.socket()
        await socket.offer("PC-a")
        await socket.close()
        clock.advance(by: world.tenant.keepRuns - .seconds(1))
        #expect(try await world.tenant.runs.find(501, owner: .user("7"))?.hasEnded == true)
        clock.advance(by: .seconds(1))
        #expect(try await world.tenant.runs.find(501, owner: .user("7")) == nil)
        let again = await world.socket()
        #expect(await again.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await again.close()
    }

    @Test("the end of one socket ends its calls, frees them as ended, and no other socket's")
    func socketEnds() async throws {
        let world = World()
        let (socket, other) = (await world.socket(), await world.socket(run: 502))
        await socket.offer("PC-a")
        await other.offer("PC-b")
        #expect(await socket.close() == [.callEnded("PC-a", run: 501, reason: "socket_closed"), .closedAfterCall])
        #expect((world.leases, world.media.load) == (2, 1))
        #expect(try await world.tenant.runs.find(501, owner: .user("7"))?.hasEnded == true)
        #expect(try await world.tenant.runs.find(502, owner: .user("7"))?.hasEnded == false)
        #expect(other.sent == [])
        await other.close()
        #expect(try await world.leftovers(runs: [501, 502]) == [])
    }
}
