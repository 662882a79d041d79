import ICE
import TURN
import WebRTC
import Wire

/// The ways that are not the loop's own UDP sockets: relays, and TCP connections of callers.
extension LoopCore {
    /// Asks these TURN servers for relayed addresses from now on.
    func relay(through servers: [RelayServer], onChange: @escaping @Sendable (RelayEvent) -> Void) {
        onRelay = onChange
        relays.ask(servers, now: now)
        pumpRelays()
    }

    /// Takes a connection whose call is one of ours; false when it is not.
    func adopt(_ stray: StrayConnection) -> Bool {
        guard sessions.index(ufrag: stray.ufrag) != nil else { return false }
        guard let connection = tcp.adopt(stray, now: now) else { return true }
        tcp.take(connection, claim: { _ in true }, handOver: { _ in }) { packet, tuple in
            dispatch(&packet, path: tuple.path, source: tuple.remote)
        }
        return true
    }

    /// Whether anything is watched at all.
    var isPolling: Bool { relays.isInUse || tcp.isInUse }

    func receiveElsewhere() {
        poller.forEachReady { descriptor in
            if let port = relays.port(descriptor: descriptor) {
                receive(from: port)
            } else if !tcp.accept(descriptor, now: now, isOwned: { sessions.index(tuple: $0) != nil }) {
                tcp.receive(
                    descriptor, claim: { sessions.index(ufrag: $0) != nil },
                    handOver: { stray in
                        if let handOver { handOver(stray) } else { stray.close() }
                    },
                    { packet, tuple in
                        countReceived()
                        dispatch(&packet, path: tuple.path, source: tuple.remote)
                    })
            }
        }
    }

    private func receive(from port: RelayPort) {
        if port.isDatagramSocket {
            receive(port.descriptor) { packet, source in
                guard let (range, peer) = port.receive(packet.span, from: source, now: now) else { return }
                unsafe packet.withUnsafeMutableBufferPointer { bytes in
                    var data = unsafe UnsafeMutableBufferPointer(rebasing: bytes[range]).mutableSpan
                    dispatch(&data, path: port.path, source: peer)
                }
            }
        } else {
            unsafe port.readStream(into: slab) { message in
                countReceived()
                guard let (range, peer) = port.receive(message.span, from: port.server.address, now: now) else {
                    return
                }
                var data = Array(message[range])
                var span = data.mutableSpan
                dispatch(&span, path: port.path, source: peer)
            }
        }
        relays.notice(port, now: now)
        pumpRelays()
    }

    /// False where that way is no more.
    func sendElsewhere(_ entry: DatagramBatch.Entry) -> Bool {
        guard entry.path >= LoopPath.relays else { return tcp.send(entry, of: batch) }
        guard let port = relays.port(path: entry.path) else { return false }
        port.send(entry, of: batch, now: now)
        relays.notice(port, now: now)
        return true
    }

    func runElsewhere() {
        tcp.sweep(now: now) { sessions.index(tuple: $0) != nil }
        if let due = relays.deadline, due <= now { relays.handleTimeout(now: now) }
        pumpRelays()
    }

    /// Tells the calls of relayed addresses that have come or gone.
    private func pumpRelays() {
        var isSettled = false
        while let output = relays.poll() {
            switch output {
            case .available(let port):
                guard let candidate = port.candidate else { continue }
                onRelay?(.available(candidate.address, server: port.server.name))
                forEachCall { call in
                    if let host = call.signalingHost { relays.expect(host, now: now) }
                    call.addLocalCandidate(candidate, now: now)
                }
            case .lost(let port):
                guard let candidate = port.candidate else { continue }
                onRelay?(.lost(candidate.address, server: port.server.name, reason: port.failure ?? ""))
                forEachCall { $0.removeLocalCandidates(path: port.path, now: now) }
            case .retired(let port): forEachCall { $0.removeLocalCandidates(path: port.path, now: now) }
            case .settled: isSettled = true
            case .unavailable(let reasons): onRelay?(.unavailable(reasons))
            }
        }
        // Once, where both IP versions settle together.
        if isSettled { endGathering() }
    }

    /// Tells the calls so when no server is left to wait for.
    func endGathering() {
        if !isGathering { forEachCall { $0.endOfLocalCandidates() } }
    }

    func forEachCall(_ body: (PeerConnection) -> Void) {
        for index in sessions.live {
            guard let session = sessions[index] else { continue }
            body(session.peer)
            settle(index)
        }
    }
}
