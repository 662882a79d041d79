import ICE
import STUN
import WebRTC
import Wire

/// The calls of one loop, and the ways a datagram finds one. Ways are only added by what ICE has authenticated.
struct SessionTable {
    final class Session {
        let peer: PeerConnection
        let onEvent: @Sendable (PeerConnection.Event) -> Void
        var tuples: [Tuple] = []
        var ufrags: [UfragKey] = []
        var ufragGeneration = -1

        init(peer: PeerConnection, onEvent: @escaping @Sendable (PeerConnection.Event) -> Void) {
            self.peer = peer
            self.onEvent = onEvent
        }
    }

    private var sessions: [Session?] = []
    /// Next deadline of each session in nanoseconds, `.max` for none: dense, so that the earliest is found by one sweep.
    private var deadlines: [Int64] = []
    private var free: [Int] = []
    private var byTag: [UInt32: Int] = [:]
    private var byUfrag: [UfragKey: Int] = [:]
    private var byTuple: [Tuple: Int] = [:]
    private(set) var earliestDeadline = Int64.max

    subscript(index: Int) -> Session? {
        sessions[index]
    }

    var liveCount: Int {
        byTag.count
    }

    var live: [Int] {
        sessions.indices.filter { sessions[$0] != nil }
    }

    func index(tag: UInt32) -> Int? {
        byTag[tag]
    }

    func index(ufrag: UfragKey) -> Int? {
        byUfrag[ufrag]
    }

    func index(tuple: Tuple) -> Int? {
        byTuple[tuple]
    }

    mutating func insert(_ peer: PeerConnection, onEvent: @escaping @Sendable (PeerConnection.Event) -> Void) -> Int {
        let session = Session(peer: peer, onEvent: onEvent)
        let index: Int
        if let reused = free.popLast() {
            index = reused
            sessions[index] = session
        } else {
            index = sessions.count
            sessions.append(session)
            deadlines.append(.max)
        }
        byTag[peer.tag] = index
        refresh(index)
        return index
    }

    /// Leads `tuple` to the session that has proven it. One that is in use stays with its call: a caller who forges
    /// another's source address would else turn that call's media away.
    mutating func bind(_ tuple: Tuple, to index: Int) {
        if let owner = byTuple[tuple] {
            guard owner != index, let session = sessions[owner], !session.peer.isInUse(tuple) else { return }
            session.tuples.removeAll { $0 == tuple }
        }
        byTuple[tuple] = index
        sessions[index]?.tuples.append(tuple)
    }

    mutating func unbind(_ tuple: Tuple, from index: Int) {
        guard byTuple[tuple] == index else { return }
        byTuple[tuple] = nil
        sessions[index]?.tuples.removeAll { $0 == tuple }
    }

    /// Takes over what may have changed in the connection: its deadline, and after signaling its user fragments.
    mutating func refresh(_ index: Int) {
        guard let session = sessions[index] else { return }
        if session.peer.ufragGeneration != session.ufragGeneration {
            session.ufragGeneration = session.peer.ufragGeneration
            for ufrag in session.ufrags { byUfrag[ufrag] = nil }
            session.ufrags = session.peer.localUfrags.compactMap { UfragKey($0) }
            for ufrag in session.ufrags { byUfrag[ufrag] = index }
        }
        setDeadline(session.peer.deadline?.nanoseconds ?? .max, of: index)
    }

    mutating func remove(_ index: Int) {
        guard let session = sessions[index] else { return }
        byTag[session.peer.tag] = nil
        for ufrag in session.ufrags { byUfrag[ufrag] = nil }
        for tuple in session.tuples where byTuple[tuple] == index { byTuple[tuple] = nil }
        sessions[index] = nil
        setDeadline(.max, of: index)
        free.append(index)
    }

    var count: Int {
        sessions.count
    }

    func isDue(_ index: Int, _ now: MonotonicTime) -> Bool {
        deadlines[index] <= now.nanoseconds
    }

    private mutating func setDeadline(_ deadline: Int64, of index: Int) {
        let previous = deadlines[index]
        deadlines[index] = deadline
        if deadline <= earliestDeadline {
            earliestDeadline = deadline
        } else if previous == earliestDeadline {
            earliestDeadline = deadlines.min() ?? .max
        }
    }
}
