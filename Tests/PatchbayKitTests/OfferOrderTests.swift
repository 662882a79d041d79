import PatchbayPlugin
import Testing

@testable import PatchbayKit

/// What can stand in an offer's way, in the order in which a client hears of it.
enum Obstacle: Int, CaseIterable, CustomStringConvertible {
    case fieldsMissing, quotaDenies, ownedElsewhere, liveHere, runEnded, noRoom, runLive

    var description: String {
        switch self {
        case .fieldsMissing: "fields are missing"
        case .quotaDenies: "a quota denies"
        case .ownedElsewhere: "the pc_id is live on another socket"
        case .liveHere: "the pc_id is live here"
        case .runEnded: "the run has ended"
        case .noRoom: "there is no room"
        case .runLive: "the run is live"
        }
    }

    /// What the client hears of it.
    var reply: [Sent] {
        switch self {
        case .fieldsMissing: [.missingFields]
        case .quotaDenies: [.quotaExceeded]
        case .ownedElsewhere: [.alreadyOwned]
        case .liveHere: Sent.answer("PC-a", to: "v=0")
        case .runEnded: [.runCompleted]
        case .noRoom: [.noRoom]
        case .runLive: [.runActive]
        }
    }

    /// Every set of them that can stand in the way at once: a name is live in one place only.
    static var situations: [[Obstacle]] {
        (0..<1 << allCases.count).map { bits in allCases.filter { bits & 1 << $0.rawValue != 0 } }
            .filter { !($0.contains(.ownedElsewhere) && $0.contains(.liveHere)) }
    }
}

@Suite("The order of an offer's checks", .timeLimit(.minutes(2)))
struct OfferOrderTests {
    @Test("the first obstacle answers, and a refusal leaves nothing behind", arguments: Obstacle.situations)
    func order(situation: [Obstacle]) async throws {
        let world = World()
        let (socket, other) = (await world.socket(), await world.socket(run: 502))
        let run = world.run()
        if situation.contains(.ownedElsewhere) { await other.offer("PC-a") }
        if situation.contains(.liveHere) {
            await socket.offer("PC-a")
        } else if situation.contains(.runLive) {
            #expect(try await world.tenant.runs.claim(run.id, owner: run.owner, callID: "another"))
        }
        if situation.contains(.runEnded) { try await world.tenant.runs.end(run) }
        let (held, load, started) = (world.leases, world.media.load, world.newCall.held)
        if situation.contains(.noRoom) { world.newCall.set(limit: world.newCall.held.count) }
        if situation.contains(.quotaDenies) { world.everyOffer.set(.denies) }

        let text =
            situation.contains(.fieldsMissing)
            ? #"{"type":"offer","payload":{"pc_id":"PC-a","type":"offer"}}"# : TestSocket.offer("PC-a")
        let reply = await socket.send(text)
        guard let first = situation.first else {
            #expect(reply == Sent.answer("PC-a", to: "v=0"))
            await socket.close()
            #expect(try await world.leftovers() == [])
            return
        }
        #expect(reply == first.reply)
        #expect(world.leases == held)
        #expect(world.media.load == load)
        #expect(world.newCall.held == started)

        await other.close()
        await socket.close()
        try await world.tenant.runs.release(run.id, owner: run.owner, callID: "another")
        #expect(try await world.leftovers(runs: [501, 502]) == [])
        world.newCall.set(limit: 1)
        world.everyOffer.set(.admits)
        // The name, the room and, unless it has ended, the run are free for another socket.
        let hasEnded = situation.contains(.runEnded) || situation.contains(.liveHere)
        let next = await world.socket(run: hasEnded ? 503 : 501)
        #expect(await next.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await next.close()
        #expect(try await world.leftovers(runs: [501, 502, 503]) == [])
    }

    @Test(
        "an offer with a field missing, empty or of another kind does nothing, and a good one behind it is answered",
        arguments: [
            #"{"type":"offer"}"#, #"{"type":"offer","payload":{}}"#,
            #"{"type":"offer","payload":{"pc_id":"PC-a","sdp":"v=0"}}"#,
            #"{"type":"offer","payload":{"pc_id":"PC-a","sdp":"","type":"offer"}}"#,
            #"{"type":"offer","payload":{"pc_id":"","sdp":"v=0","type":"offer"}}"#,
            #"{"type":"offer","payload":{"pc_id":7,"sdp":"v=0","type":"offer"}}"#,
            #"{"type":"offer","payload":{"pc_id":"../a","sdp":"v=0","type":"offer"}}"#,
            #"{"type":"offer","payload":{"pc_id":"PC-a","sdp":["v=0"],"type":"offer"}}"#,
            #"{"type":"offer","payload":{"pc_id":"PC-a","sdp":"v=0","type":""}}"#,
        ])
    func missingFields(text: String) async throws {
        let world = World()
        let socket = await world.socket()
        #expect(await socket.send(text) == [.missingFields])
        #expect(world.everyOffer.asked == 0)
        #expect(try await world.leftovers() == [])
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
    }

    @Test("a description that is no offer is refused", arguments: ["answer", "pranswer", "rollback", "Offer"])
    func notAnOffer(type: String) async throws {
        let world = World()
        let socket = await world.socket()
        let reply = await socket.send(TestSocket.offer("PC-a", type: type))
        #expect(reply == [.error("Expected a description of type offer")])
        #expect(try await world.leftovers() == [])
        await socket.close()
    }

    @Test("an offer that cannot be answered gives the slot and the run back, and the socket stays open")
    func badOffer() async throws {
        let world = World()
        let socket = await world.socket()
        world.newCall.set(limit: 1)
        for _ in 0..<3 {
            #expect(await socket.offer("PC-a", "bad") == [.badOffer])
            #expect(try await world.leftovers() == [])
        }
        #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0"))
        await socket.close()
        #expect(try await world.leftovers() == [])
        #expect(try await world.tenant.runs.find(501, owner: .user("7"))?.hasEnded == true)
    }

    @Test("a second offer on one pc_id takes no slot, and asks the quotas of every offer once more")
    func secondOffer() async throws {
        let world = World()
        let socket = await world.socket()
        world.newCall.set(limit: 1)
        await socket.offer("PC-a")
        #expect((world.everyOffer.asked, world.newCall.asked) == (1, 1))
        #expect(await socket.offer("PC-a", "v=1") == Sent.answer("PC-a", to: "v=1"))
        #expect((world.everyOffer.asked, world.newCall.asked) == (2, 1))
        #expect((world.leases, world.media.load) == (2, 1))
        world.everyOffer.set(.denies)
        #expect(await socket.offer("PC-a", "v=2") == [.quotaExceeded])
        world.everyOffer.set(.cannotTell)
        #expect(await socket.offer("PC-a", "v=3") == [.quotaUnknown])
        #expect((world.leases, world.media.load) == (2, 1))
        await socket.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("a second pc_id on a socket whose call lives finds the run active, and leaves that call alone")
    func secondName() async throws {
        let world = World()
        let socket = await world.socket()
        await socket.offer("PC-a")
        #expect(await socket.offer("PC-b") == [.runActive])
        #expect((world.leases, world.media.load) == (2, 1))
        #expect(try await world.leftovers(names: ["PC-b"], runs: []).allSatisfy { !$0.contains("PC-b") })
        #expect(await socket.offer("PC-a", "v=1") == Sent.answer("PC-a", to: "v=1"))
        await socket.close()
    }

    @Test("a run whose call was answered is completed for every later socket")
    func completed() async throws {
        let world = World()
        let first = await world.socket()
        await first.offer("PC-a")
        #expect(await first.close() == [.callEnded("PC-a", run: 501, reason: "socket_closed"), .closedAfterCall])
        let second = await world.socket()
        #expect(await second.offer("PC-a") == [.runCompleted])
        #expect(await second.offer("PC-b") == [.runCompleted])
        await second.close()
        #expect(try await world.leftovers() == [])
    }

    @Test("another user may have the same pc_id and the same run id at the same time")
    func otherUser() async throws {
        let world = World()
        let sockets = [await world.socket(user: "7"), await world.socket(user: "8")]
        for socket in sockets { #expect(await socket.offer("PC-a") == Sent.answer("PC-a", to: "v=0")) }
        #expect(world.media.load == 2)
        for socket in sockets { await socket.close() }
        #expect(try await world.leftovers(users: ["7", "8"]) == [])
    }
}
