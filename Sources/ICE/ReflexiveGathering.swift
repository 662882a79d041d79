internal import STUN
package import Wire

/// Asks STUN servers under which addresses local sockets are seen from outside (RFC 8445 §5.1.1.2), as a value.
///
/// It is a socket's, not a call's: all calls on a port have one server-reflexive address, which is known before they begin.
/// Asking again and again keeps the NAT's binding alive.
package struct ReflexiveGathering: Sendable {
    /// Between questions that are answered, less than what NATs keep a binding for (RFC 4787 §4.3 has 2 minutes at least;
    /// many keep 30 s).
    static let interval: Duration = .seconds(20)
    /// After none of the servers has answered.
    static let rest: Duration = .seconds(30)
    static let firstRepeat: Duration = .milliseconds(500)
    /// How often a server is asked before the next one is: with doubled waits, for 7.5 s.
    static let attempts = 4

    package enum Output: Sendable, Equatable {
        case transmit([UInt8], path: Int, to: SocketAddress)
        /// A path has another reflexive address than before.
        case mapped(SocketAddress, path: Int)
        /// Not one server answered on this path.
        case unanswered(path: Int)
        /// Each path has had its first answer, or has asked every server: this is told once.
        case settled
    }

    private struct Path: Sendable {
        let number: Int
        let servers: [SocketAddress]
        var server = 0
        var attempts = 0
        /// Servers in a row that did not answer.
        var silent = 0
        var transaction: TransactionID?
        var due: MonotonicTime
        var mapped: SocketAddress?
        /// Whether a server has answered, or each has had its chance.
        var isSettled = false
    }

    private let tag: UInt32
    private let randomness: RandomSource
    private var paths: [Path]
    private var outputs: [Output] = []

    /// - Parameters:
    ///   - addresses: of the local sockets; the position is the path. Loopback has nothing to ask.
    ///   - servers: in the order in which they are asked.
    ///   - tag: first 32 bits of every transaction id.
    package init(
        addresses: [SocketAddress], servers: [SocketAddress], tag: UInt32, randomness: RandomSource, now: MonotonicTime
    ) {
        self.tag = tag
        self.randomness = randomness
        paths = addresses.enumerated().compactMap { number, address in
            let servers = servers.filter { $0.family == address.family && $0.isLoopback == address.isLoopback }
            return servers.isEmpty ? nil : Path(number: number, servers: servers, due: now)
        }
    }

    /// Whether a path may yet turn out to have a reflexive address, the first time round.
    package var isGathering: Bool { paths.contains { !$0.isSettled } }

    /// When to call `handleTimeout`; nil when nobody is to be asked.
    package var deadline: MonotonicTime? {
        // Asked at every wake-up of a media loop, which does not allocate.
        var earliest: MonotonicTime?
        for path in paths { earliest = min(earliest ?? path.due, path.due) }
        return earliest
    }

    /// The next effect, until nil.
    package mutating func poll() -> Output? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    /// To be called at `deadline`; harmless at any other time.
    package mutating func handleTimeout(now: MonotonicTime) {
        for index in paths.indices where paths[index].due <= now {
            if paths[index].attempts >= Self.attempts {
                giveUp(index, now: now)
            } else {
                ask(index, now: now)
            }
        }
    }

    private mutating func ask(_ index: Int, now: MonotonicTime) {
        let path = paths[index]
        let id = path.transaction ?? TransactionID(tag: tag, rest: randomness.next())
        paths[index].transaction = id
        paths[index].due = now + Self.firstRepeat * (1 << min(path.attempts, 8))
        paths[index].attempts += 1
        let request = STUNBuilder(.request, id: id).finish(key: nil)
        outputs.append(.transmit(request, path: path.number, to: path.servers[path.server % path.servers.count]))
    }

    private mutating func giveUp(_ index: Int, now: MonotonicTime) {
        paths[index].transaction = nil
        paths[index].attempts = 0
        paths[index].server &+= 1
        paths[index].silent += 1
        guard paths[index].silent >= paths[index].servers.count else { return ask(index, now: now) }
        paths[index].silent = 0
        paths[index].mapped = nil
        paths[index].due = now + Self.rest
        outputs.append(.unanswered(path: paths[index].number))
        settle(index)
    }

    private mutating func settle(_ index: Int) {
        guard !paths[index].isSettled else { return }
        paths[index].isSettled = true
        if !isGathering { outputs.append(.settled) }
    }

    /// Takes a STUN response whose transaction id begins with our tag; false when it is none that is waited for.
    package mutating func receive(
        _ datagram: Span<UInt8>, path: Int, from source: SocketAddress, now: MonotonicTime
    ) -> Bool {
        // Who is not the server that was asked costs no parsing.
        guard let index = paths.firstIndex(where: { $0.number == path }), let expected = paths[index].transaction,
            source == paths[index].servers[paths[index].server % paths[index].servers.count],
            let message = try? STUNMessage(parsing: datagram), message.id == expected,
            message.class == .success, message.method == STUNMessage.binding, message.unknownRequired.isEmpty,
            let mapped = message.xorMappedAddress, mapped.family == source.family, mapped.port != 0
        else { return false }
        paths[index].transaction = nil
        (paths[index].attempts, paths[index].silent) = (0, 0)
        paths[index].due = now + Self.interval
        if paths[index].mapped != mapped {
            paths[index].mapped = mapped
            outputs.append(.mapped(mapped, path: path))
        }
        settle(index)
        return true
    }
}
