internal import CSocket
import Glibc
import ICE
import STUN
package import WebRTC
package import Wire

/// A media loop's state. Only the loop's own thread touches it, which the compiler sees to: it is not `Sendable`.
@safe package final class LoopCore {
    private static let slot = 2048
    private static let receiveBatch = 64
    /// Reads of one socket before the others and the timers get their turn.
    private static let roundsPerWake = 4
    /// From this many calls on there is something to do in nearly every millisecond: the loop then looks once in each, on
    /// the grid that deadlines are on, rather than at every packet. Each wake-up saved is one of a pipeline, too.
    private static let manyCalls = 16

    let addresses: [SocketAddress]
    var waker: Int32 = -1
    private var descriptors: [Int32]
    private let sockets: [UDPSocket]
    /// Everything else that can be ready: relays' sockets, TCP connections.
    let poller: Poller
    let relays: RelaySearch
    let tcp: PassiveTCP
    /// Where callers connect to, by socket; empty where they cannot.
    private let tcpAddresses: [SocketAddress]
    /// Who takes a connection for a call that is not one of this loop.
    var handOver: (@Sendable (StrayConnection) -> Void)?
    var onRelay: (@Sendable (RelayEvent) -> Void)?
    /// What is received, decrypted in place.
    let slab = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: receiveBatch * slot)
    private var datagrams = [csocket_datagram](repeating: csocket_datagram(), count: receiveBatch)
    private var outgoing = [csocket_datagram](repeating: csocket_datagram(), count: batchCapacity)
    private static let batchCapacity = 512

    /// Datagrams on their way out; peer connections append, the loop sends.
    package let batch = DatagramBatch(capacity: batchCapacity)
    /// The reading of the clock at this wake-up.
    package private(set) var now = MonotonicTime.now()
    package private(set) var counters = MediaCounters()
    var sessions = SessionTable()
    private var effort: EncoderEffort
    /// Where others see our addresses, by path.
    private(set) var mapped: [Int: SocketAddress]
    private var gathering: ReflexiveGathering?
    private var onGathered: (@Sendable (ReflexiveGathering.Output) -> Void)?
    private var running = true

    init(_ setup: MediaLoop.Setup) throws(MediaError) {
        let (addresses, mapped) = (setup.addresses, setup.mapped)
        self.mapped = mapped
        effort = EncoderEffort(within: setup.complexities)
        var sockets: [UDPSocket] = []
        for address in addresses {
            sockets.append(try UDPSocket(bindingTo: address))
        }
        self.sockets = sockets
        guard addresses.count <= Int(csocket_maximum) - 2 else {
            throw .tooManyAddresses(addresses.count, limit: Int(csocket_maximum) - 2)
        }
        self.addresses = sockets.map(\.address)
        for path in mapped.keys where sockets.indices.contains(path) {
            self.mapped[path]?.port = sockets[path].address.port
        }
        poller = try Poller()
        tcpAddresses = setup.tcpAddresses
        tcp = PassiveTCP(setup.listeners, poller: poller)
        relays = RelaySearch(local: addresses, tag: setup.tag, poller: poller, dialRules: setup.dialRules)
        descriptors = sockets.map(\.descriptor) + [poller.descriptor]
        unsafe slab.initialize(repeating: 0)
    }

    deinit {
        unsafe slab.deallocate()
    }

    func run(_ loop: MediaLoop) {
        descriptors.append(waker)
        var commands: [@Sendable (LoopCore) -> Void] = []
        while running {
            let ready = sessions.liveCount < Self.manyCalls ? wait() : pause(loop)
            now = .now()
            if ready >> UInt64(descriptors.count - 1) & 1 == 1 {
                csocket_rest(waker)
                loop.takeCommands(&commands)
                for command in commands { command(self) }
                commands.removeAll(keepingCapacity: true)
            }
            for path in addresses.indices where ready >> UInt64(path) & 1 == 1 {
                receive(path)
            }
            if ready >> UInt64(addresses.count) & 1 == 1, isPolling { receiveElsewhere() }
            runTimers()
            flush()
            if effort.isDue(now), effort.measure(used: .usedByThread(), now: now) {
                for index in sessions.live { sessions[index]?.peer.complexityLimit = effort.limit }
            }
        }
    }

    func stop() {
        for index in sessions.live {
            sessions[index]?.peer.close(now: now)
            settle(index)
        }
        relays.close()
        running = false
    }

    // MARK: - Calls

    package func add(_ peer: PeerConnection, onEvent: @escaping @Sendable (PeerConnection.Event) -> Void) {
        peer.complexityLimit = effort.limit
        settle(sessions.insert(peer, onEvent: onEvent))
    }

    /// Lets `body` work on the connection with this tag; nil when it is over.
    package func with<Result>(_ tag: UInt32, _ body: (PeerConnection) -> Result) -> Result? {
        guard let index = sessions.index(tag: tag), let session = sessions[index] else { return nil }
        let result = body(session.peer)
        settle(index)
        return result
    }

    // MARK: - Gathering

    /// What a call that begins now may tell its peer.
    var candidates: [PeerConnection.LocalCandidate] {
        var candidates = addresses.enumerated().map { path, address in
            PeerConnection.LocalCandidate(address, path: path)
        }
        candidates += addresses.indices.compactMap(reflexive)
        for (number, address) in tcpAddresses.enumerated() {
            candidates.append(.init(address, path: LoopPath.tcp + number, transport: .tcp))
            guard var mapped = mapped[number] else { continue }
            mapped.port = address.port
            guard !tcpAddresses.contains(mapped) else { continue }
            candidates.append(
                .init(mapped, path: LoopPath.tcp + number, kind: .srflx, transport: .tcp, relatedAddress: address))
        }
        return candidates + relays.candidates
    }

    /// Where others see the socket of a path. An address that no NAT has changed is no other candidate (RFC 8445 §5.1.3).
    private func reflexive(_ path: Int) -> PeerConnection.LocalCandidate? {
        guard let mapped = mapped[path], !addresses.contains(mapped) else { return nil }
        return .init(mapped, path: path, kind: .srflx, relatedAddress: addresses[path])
    }

    /// Whether servers have been asked for candidates, and the first of their answers are not all in.
    var isGathering: Bool { relays.isGathering || gathering?.isGathering ?? false }

    func gather(
        from servers: [SocketAddress], tag: UInt32, onChange: @escaping @Sendable (ReflexiveGathering.Output) -> Void
    ) {
        onGathered = onChange
        gathering = ReflexiveGathering(
            addresses: addresses, servers: servers, tag: tag, randomness: .system, now: now)
        endGathering()
    }

    private func pumpGathering() {
        while let output = gathering?.poll() {
            switch output {
            case .transmit(let bytes, let path, let server):
                batch.append(bytes.span, to: server, path: path)
                continue
            case .mapped(let address, let path):
                // A call follows a NAT that changes its mind by itself; what it does not know yet is the first.
                let isFirst = mapped[path] == nil
                mapped[path] = address
                if isFirst, let candidate = reflexive(path) {
                    forEachCall { $0.addLocalCandidate(candidate, now: now) }
                }
            case .unanswered(let path): mapped[path] = nil
            case .settled: endGathering()
            }
            onGathered?(output)
        }
    }

    // MARK: - In

    private func wait() -> UInt64 {
        var deadline = min(sessions.earliestDeadline, gathering?.deadline?.nanoseconds ?? .max)
        if let due = relays.deadline { deadline = min(deadline, due.nanoseconds) }
        if let due = tcp.deadline { deadline = min(deadline, due.nanoseconds) }
        let timeout = deadline == .max ? -1 : max(0, deadline &- MonotonicTime.now().nanoseconds)
        return unsafe descriptors.withUnsafeBufferPointer {
            unsafe csocket_wait($0.baseAddress, Int32($0.count), timeout)
        }
    }

    /// Waits for the next millisecond; every socket may be ready then.
    private func pause(_ loop: MediaLoop) -> UInt64 {
        csocket_sleep(MonotonicTime.now().roundedUp(to: .milliseconds(1)).nanoseconds)
        let sockets = UInt64(1) << UInt64(descriptors.count - 1) &- 1
        return loop.hasCommands ? .max : sockets
    }

    private func receive(_ path: Int) {
        receive(descriptors[path]) { packet, source in dispatch(&packet, path: path, source: source) }
    }

    /// Reads the datagrams of a socket, and has `body` take each in place.
    func receive(_ descriptor: Int32, _ body: (inout MutableSpan<UInt8>, SocketAddress) -> Void) {
        for _ in 0..<Self.roundsPerWake {
            let received = unsafe datagrams.withUnsafeMutableBufferPointer { datagrams in
                unsafe csocket_receive(
                    descriptor, slab.baseAddress, UInt32(Self.slot), Int32(Self.receiveBatch), datagrams.baseAddress)
            }
            guard received > 0 else {
                if received < 0 { counters.socketErrors &+= 1 }
                return
            }
            for number in 0..<Int(received) {
                let datagram = datagrams[number]
                counters.received &+= 1
                let start = Int(datagram.offset)
                let end = start &+ Int(datagram.length)
                guard end > start else {
                    counters.oversized &+= 1
                    continue
                }
                var packet = unsafe UnsafeMutableBufferPointer(rebasing: slab[start..<end]).mutableSpan
                body(&packet, datagram.address.socketAddress)
            }
            if received < Self.receiveBatch { return }
        }
    }

    func countReceived() { counters.received &+= 1 }

    func dispatch(_ packet: inout MutableSpan<UInt8>, path: Int, source: SocketAddress) {
        guard let index = owner(of: packet.span, path: path, source: source), let session = sessions[index] else {
            if path < LoopPath.tcp, gathering?.receive(packet.span, path: path, from: source, now: now) ?? false {
                pumpGathering()
            } else {
                counters.unknownSource &+= 1
            }
            return
        }
        if case .authenticated(let displaced) = session.peer.receive(&packet, path: path, from: source, now: now) {
            if let displaced { sessions.unbind(displaced, from: index) }
            sessions.bind(Tuple(path: path, remote: source), to: index)
        }
        settle(index)
    }

    /// STUN finds its call by what it says and proves it there; everything else only by an address that has proven itself.
    private func owner(of datagram: Span<UInt8>, path: Int, source: SocketAddress) -> Int? {
        guard datagram.byte(at: 0) ?? 0 < 4 else { return sessions.index(tuple: Tuple(path: path, remote: source)) }
        guard let probe = STUNProbe(datagram) else { return nil }
        switch probe.class {
        case .request: return probe.localUfrag.flatMap { sessions.index(ufrag: $0) }
        case .success, .error: return sessions.index(tag: probe.transactionTag)
        case .indication: return nil
        }
    }

    // MARK: - Timers and out

    private func runTimers() {
        if let due = gathering?.deadline, due <= now {
            gathering?.handleTimeout(now: now)
            pumpGathering()
        }
        runElsewhere()
        guard sessions.earliestDeadline <= now.nanoseconds else { return }
        for index in 0..<sessions.count where sessions.isDue(index, now) {
            guard let session = sessions[index] else { continue }
            // Encoding takes its time: the next call's time is not this wake-up's.
            now = .now()
            if let tick = session.peer.sendTick, tick <= now { counters.tickLateness.record(now - tick) }
            session.peer.handleTimeout(now: now)
            settle(index)
        }
    }

    /// After every touch of a connection: hand out its events, keep the tables true, note its next deadline.
    func settle(_ index: Int) {
        guard let session = sessions[index] else { return }
        var ended = false
        while let event = session.peer.poll() {
            session.onEvent(event)
            if case .ended = event { ended = true }
        }
        if ended {
            sessions.remove(index)
        } else {
            sessions.refresh(index)
        }
        if batch.entries.count > Self.batchCapacity / 2 {
            flush()
        }
    }

    private func flush() {
        guard !batch.entries.isEmpty else { return }
        for entry in batch.entries where entry.path >= LoopPath.tcp {
            if sendElsewhere(entry) { counters.sent &+= 1 } else { counters.unsent &+= 1 }
        }
        for path in addresses.indices {
            var count = 0
            for entry in batch.entries where entry.path == path {
                outgoing[count] = csocket_datagram(
                    offset: UInt32(entry.offset), length: UInt32(entry.count),
                    address: csocket_address(entry.destination))
                count += 1
            }
            guard count > 0 else { continue }
            let sent = unsafe batch.storage.withUnsafeBufferPointer { storage in
                unsafe outgoing.withUnsafeBufferPointer { outgoing in
                    unsafe csocket_send(descriptors[path], storage.baseAddress, outgoing.baseAddress, Int32(count))
                }
            }
            counters.sent &+= Int(sent)
            counters.unsent &+= count &- Int(sent)
        }
        batch.removeAll()
    }
}

/// What a loop counts, for operators and tests.
package struct MediaCounters: Sendable, Equatable {
    package var received = 0
    package var sent = 0
    /// The kernel refused these.
    package var unsent = 0
    /// From an address that no call has proven, and not a STUN message for one.
    package var unknownSource = 0
    /// Longer than 2048 bytes, or empty.
    package var oversized = 0
    package var socketErrors = 0
    /// How long after a call's tick its frame was begun, in steps of 0.1 ms.
    package var tickLateness = DurationHistogram(step: .microseconds(100))

    package static func += (sum: inout Self, more: Self) {
        sum.received &+= more.received
        sum.sent &+= more.sent
        sum.unsent &+= more.unsent
        sum.unknownSource &+= more.unknownSource
        sum.oversized &+= more.oversized
        sum.socketErrors &+= more.socketErrors
        sum.tickLateness += more.tickLateness
    }
}
