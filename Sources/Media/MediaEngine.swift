package import Audio
internal import CSocket
import DTLS
package import ICE
import SRTP
import Synchronization
package import WebRTC
package import Wire

/// The media loops of a process, and what all their calls share.
package final class MediaEngine: Sendable {
    package let loops: [MediaLoop]
    private let certificate: Certificate
    private let dialRules: DialRules
    private let isLite: Bool
    /// IP versions whose public address is given, so that nobody need be asked.
    private let knownFamilies: Set<SocketAddress.Family>
    private let encoder: EncoderSettings
    private let ntpOrigin = MonotonicTime.ntpOrigin()
    private let nextTag: Atomic<UInt32>
    /// Two calls placed at once are not to choose the same loop.
    private let placement = Mutex(())

    /// Starts `loops` loops, the n-th on the n-th of `ports` and no more than those; nil takes any free ones.
    ///
    /// - Parameters:
    ///   - tcpPort: where callers connect to whose UDP is blocked; 0 takes any free port, nil lets nobody.
    ///   - isLite: whether answering calls send no ICE checks but for consent.
    ///   - publicAddresses: where callers elsewhere reach `addresses`, behind 1:1 NAT.
    ///   - encoder: how every call's sound is encoded.
    ///   - forbidden: addresses never dialled, the gateway's own services; port 0 stands for every port.
    /// - Throws: `MediaError`, and the errors of the DTLS and SRTP libraries, which are tested here.
    package init(
        addresses: [SocketAddress], publicAddresses: [SocketAddress] = [], ports: ClosedRange<UInt16>?,
        tcpPort: UInt16? = nil, loops count: Int, isLite: Bool = false, encoder: EncoderSettings = EncoderSettings(),
        forbidden: [SocketAddress] = []
    ) throws {
        try SRTPLibrary.start()
        certificate = try Certificate()
        self.encoder = encoder
        self.isLite = isLite
        knownFamilies = Set(publicAddresses.map(\.family))
        dialRules = DialRules(allowsLoopback: addresses.contains(where: \.isLoopback), forbidden: forbidden)
        var random = SystemRandomNumberGenerator()
        nextTag = Atomic(random.next())
        let listeners = try Self.listen(addresses, port: tcpPort)
        var loops: [MediaLoop] = []
        do {
            for port in ports.map({ Array($0.prefix(count)) }) ?? Array(repeating: 0, count: count) {
                loops.append(
                    try MediaLoop(
                        MediaLoop.Setup(
                            addresses: addresses.map { $0.with(port: port) },
                            mapped: Self.mapping(of: addresses, to: publicAddresses),
                            tcpAddresses: listeners.map(\.address), listeners: loops.isEmpty ? listeners : [],
                            dialRules: dialRules, tag: nextTag.wrappingAdd(1, ordering: .relaxed).newValue,
                            complexities: encoder.complexities)))
            }
        } catch {
            Self.stop(loops)
            throw error
        }
        let others = loops.dropFirst()
        loops.first?.enqueue { core in core.handOver = { stray in Self.place(stray, on: others) } }
        self.loops = loops
    }

    /// One port at every address.
    private static func listen(_ addresses: [SocketAddress], port: UInt16?) throws(MediaError) -> [TCPListener] {
        guard var port else { return [] }
        var listeners: [TCPListener] = []
        for address in addresses {
            let listener = try TCPListener(bindingTo: address.with(port: port))
            port = listener.address.port
            listeners.append(listener)
        }
        return listeners
    }

    /// Asks one loop after the other whose call it is.
    private static func place(_ stray: StrayConnection, on loops: ArraySlice<MediaLoop>) {
        guard let loop = loops.first else { return stray.close() }
        let isAsked = loop.enqueue { core in
            if !core.adopt(stray) { place(stray, on: loops.dropFirst()) }
        }
        if !isAsked { place(stray, on: loops.dropFirst()) }
    }

    /// Lets calls know that servers are going to be asked: `relay` follows.
    package func expectRelays() {
        guard !isLite else { return }
        for loop in loops { loop.enqueue { core in core.relays.isExpected = true } }
    }

    /// Has every loop ask these TURN servers, from now on, for addresses of theirs that lead here. Relays of former
    /// credentials go on for as long as calls go by them.
    ///
    /// - Parameter onChange: told, on a loop's thread, what came of it.
    package func relay(
        through servers: [RelayServer], onChange: @escaping @Sendable (RelayEvent) -> Void
    ) {
        guard !isLite else { return }
        for loop in loops { loop.enqueue { core in core.relay(through: servers, onChange: onChange) } }
    }

    /// Whether the loops' threads come before all others by the system's leave (CAP_SYS_NICE or RLIMIT_RTPRIO).
    package static var hasRealTimePriority: Bool {
        csocket_may_be_real_time()
    }

    /// By path: a public address is that of our first of its family that others could reach at all.
    private static func mapping(
        of addresses: [SocketAddress], to publicAddresses: [SocketAddress]
    ) -> [Int: SocketAddress] {
        var mapping: [Int: SocketAddress] = [:]
        for address in publicAddresses {
            let path =
                addresses.firstIndex { $0.family == address.family && !$0.isLoopback }
                ?? addresses.firstIndex { $0.family == address.family }
            if let path { mapping[path] = address }
        }
        return mapping
    }

    /// Has every loop ask these STUN servers, from now on, where it is seen from outside: its calls' server-reflexive
    /// candidates. What was asked before is forgotten.
    ///
    /// - Parameter onChange: told, on a loop's thread, what was found out.
    package func gather(
        from servers: [SocketAddress], onChange: @escaping @Sendable (ReflexiveGathering.Output) -> Void
    ) {
        let servers = servers.filter { !knownFamilies.contains($0.family) }
        for loop in loops {
            let tag = nextTag.wrappingAdd(1, ordering: .relaxed).newValue
            loop.enqueue { core in core.gather(from: servers, tag: tag, onChange: onChange) }
        }
    }

    /// Ends every call, and the loops; returns when their threads are gone.
    package func stop() {
        Self.stop(loops)
    }

    private static func stop(_ loops: [MediaLoop]) {
        for loop in loops { loop.stop() }
        for loop in loops { loop.join() }
    }

    /// Calls that are alive.
    package var load: Int {
        loops.reduce(0) { $0 + $1.load }
    }

    /// What the loops have counted, added up.
    package func counters() async -> MediaCounters {
        var sum = MediaCounters()
        for loop in loops {
            if let counters = try? await loop.perform({ $0.counters }) { sum += counters }
        }
        return sum
    }

    /// Places a call on the loop with the fewest, and answers its offer.
    ///
    /// - Throws: `PeerConnectionError` when the offer cannot be answered; `MediaError.stopped`.
    package func answer(
        offer: String, _ settings: CallSettings, onEvent: @escaping @Sendable (PeerConnection.Event) -> Void
    ) async throws -> (call: MediaCall, answer: Answer) {
        try await place(.answering, settings, onEvent: onEvent) { peer, now throws(PeerConnectionError) in
            Answer(sdp: try peer.answer(offer: offer, now: now), isGathering: peer.isGathering)
        }
    }

    /// Places a call of our own, and writes its offer. Candidates that `localCandidates` has not yet follow as events, and then
    /// that there are no more.
    package func offer(
        _ settings: CallSettings, onEvent: @escaping @Sendable (PeerConnection.Event) -> Void
    ) async throws -> (call: MediaCall, offer: String) {
        try await place(.offering, settings, onEvent: onEvent) { peer, _ throws(PeerConnectionError) in
            try peer.makeOffer()
        }
    }

    /// The loop with the fewest calls, which has one more from now on.
    private func leastLoaded() throws(MediaError) -> MediaLoop {
        let loop = placement.withLock { _ in
            let loop = loops.min { $0.load < $1.load }
            loop?.reserve()
            return loop
        }
        guard let loop else { throw .stopped }
        return loop
    }

    private func place<Description: Sendable>(
        _ role: PeerConnection.Configuration.Role, _ settings: CallSettings,
        onEvent: @escaping @Sendable (PeerConnection.Event) -> Void,
        describe: @escaping @Sendable (PeerConnection, MonotonicTime) throws(PeerConnectionError) -> Description
    ) async throws -> (MediaCall, Description) {
        let loop = try leastLoaded()
        var configuration = PeerConnection.Configuration(
            role: role, certificate: certificate, candidates: [], onlyRelays: settings.onlyRelays,
            tag: nextTag.wrappingAdd(1, ordering: .relaxed).newValue, randomness: .system, ntpOrigin: ntpOrigin,
            dialRules: dialRules, isLite: isLite, keeps: settings.keeps, inputRate: settings.inputRate,
            outputRate: settings.outputRate, input: settings.input, output: settings.output,
            decodes: settings.decodes, encoder: encoder, connectTimeout: settings.connectTimeout)
        configuration.signalingHost = settings.signalingHost
        let result: Result<Description, PeerConnectionError>
        do {
            result = try await loop.perform { [configuration] core in
                var configuration = configuration
                configuration.candidates = core.candidates
                // An offer has no candidates: all of them are told after it.
                configuration.isGathering = role == .offering || core.isGathering
                if let host = configuration.signalingHost { core.relays.expect(host, now: core.now) }
                let peer = PeerConnection(configuration, batch: core.batch, now: core.now)
                do throws(PeerConnectionError) {
                    let description = try describe(peer, core.now)
                    if !core.isGathering { peer.endOfLocalCandidates() }
                    settings.output.onPlay { [tag = configuration.tag] in loop.touch(tag) }
                    core.add(peer) { event in
                        if case .ended = event { loop.unreserve() }
                        onEvent(event)
                    }
                    return .success(description)
                } catch {
                    peer.close(now: core.now)
                    return .failure(error)
                }
            }
        } catch {
            loop.unreserve()
            throw error
        }
        if case .failure = result { loop.unreserve() }
        return (MediaCall(loop: loop, tag: configuration.tag), try result.get())
    }
}

/// Our answer to an offer.
package struct Answer: Sendable {
    package var sdp: String
    /// Whether candidates of ours may follow; else all that there are stand in it.
    package var isGathering: Bool

    package init(sdp: String, isGathering: Bool = false) {
        self.sdp = sdp
        self.isGathering = isGathering
    }
}

/// What a call is placed with.
package struct CallSettings: Sendable {
    package var inputRate: Int
    package var outputRate: Int
    package var input: PCMInputQueue
    package var output: PlayoutQueue
    package var keeps: @Sendable (Candidate, PeerConnection.Configuration.Direction) -> Bool
    package var connectTimeout: Duration
    /// Whether what comes is decoded; else it is counted only.
    package var decodes = true
    /// The host that its signaling comes from. A caller behind NAT is known by nothing else, where it asks no STUN server;
    /// a relay lets that host in.
    package var signalingHost: SocketAddress?
    /// Whether it may go by TURN relays only.
    package var onlyRelays = false

    package init(
        inputRate: Int, outputRate: Int, input: PCMInputQueue, output: PlayoutQueue,
        keeps: @escaping @Sendable (Candidate, PeerConnection.Configuration.Direction) -> Bool = { _, _ in true },
        connectTimeout: Duration = .seconds(60)
    ) {
        self.inputRate = inputRate
        self.outputRate = outputRate
        self.input = input
        self.output = output
        self.keeps = keeps
        self.connectTimeout = connectTimeout
    }
}

/// A call on a media loop, for those who are elsewhere.
package struct MediaCall: Sendable {
    let loop: MediaLoop
    let tag: UInt32

    /// Answers a later offer of the same peer.
    ///
    /// - Throws: `PeerConnectionError`, `.ended` among others when the call is over.
    package func answer(offer: String) async throws -> Answer {
        try await with { core, peer throws(PeerConnectionError) in
            Answer(sdp: try peer.answer(offer: offer, now: core.now), isGathering: peer.isGathering)
        }
    }

    /// Takes the answer to our offer.
    package func accept(answer: String) async throws {
        try await with { core, peer throws(PeerConnectionError) in try peer.accept(answer: answer, now: core.now) }
    }

    /// Takes a trickled candidate; one that cannot be used is passed over.
    package func addRemoteCandidate(_ text: String) {
        loop.enqueue { [tag] core in _ = core.with(tag) { $0.addRemoteCandidate(text, now: core.now) } }
    }

    /// The peer has no more candidates.
    package func endOfRemoteCandidates() {
        loop.enqueue { [tag] core in _ = core.with(tag) { $0.endOfRemoteCandidates(now: core.now) } }
    }

    /// Values of `a=candidate` lines.
    package func localCandidates() async throws -> [String] {
        try await with { _, peer throws(PeerConnectionError) in peer.localCandidates }
    }

    /// Ends the call; `.ended` follows.
    package func close() {
        loop.enqueue { [tag] core in _ = core.with(tag) { $0.close(now: core.now) } }
    }

    /// A snapshot; the error is `.ended` when the call is over.
    package func statistics() async throws -> CallStatistics {
        try await with { _, peer throws(PeerConnectionError) in peer.currentStatistics() }
    }

    private func with<Result: Sendable>(
        _ body: @escaping @Sendable (LoopCore, PeerConnection) throws(PeerConnectionError) -> Result
    ) async throws -> Result {
        let result = try await loop.perform { [tag] core -> Swift.Result<Result, PeerConnectionError> in
            core.with(tag) { peer in
                Swift.Result { () throws(PeerConnectionError) in try body(core, peer) }
            } ?? .failure(.ended)
        }
        return try result.get()
    }
}

extension RandomSource {
    /// The system's cryptographically secure generator.
    package static var system: RandomSource {
        RandomSource {
            var generator = SystemRandomNumberGenerator()
            return generator.next()
        }
    }
}
