import ICE
import STUN
import TestSupport
import Testing
import Wire

@Suite("Gathering server-reflexive addresses")
struct ReflexiveGatheringTests {
    private static let own = [
        SocketAddress(ipv4: 0x0a00_0002, port: 40_000), SocketAddress(ipv6: 0xfd00 << 48, 2, port: 40_000),
        SocketAddress(ipv4: 0x7f00_0001, port: 40_000),
    ]
    private static let servers = [
        SocketAddress(ipv4: 0xc633_6401, port: 3478), SocketAddress(ipv4: 0xc633_6402, port: 3478),
        SocketAddress(ipv6: 0x2001_0db8 << 32, 1, port: 3478),
    ]
    private static let seen = SocketAddress(ipv4: 0xcb00_7105, port: 61_000)

    private var gathering = ReflexiveGathering(
        addresses: own, servers: servers, tag: 7, randomness: .seeded(1), now: .zero)
    private var now = MonotonicTime.zero

    private mutating func outputs() -> [ReflexiveGathering.Output] {
        var outputs: [ReflexiveGathering.Output] = []
        while let output = gathering.poll() { outputs.append(output) }
        return outputs
    }

    private mutating func run(until end: MonotonicTime) -> [ReflexiveGathering.Output] {
        var seen = outputs()
        while let deadline = gathering.deadline, deadline <= end {
            now = max(now, deadline)
            gathering.handleTimeout(now: now)
            seen += outputs()
            if let next = gathering.deadline { #expect(next > now) }
        }
        now = end
        return seen
    }

    private mutating func hear(
        _ request: [UInt8], mapped: SocketAddress? = seen, from source: SocketAddress, path: Int = 0, guess: UInt64 = 0
    ) throws -> Bool {
        var id = try STUNMessage(parsing: request.span).id
        id.rest ^= guess
        var builder = STUNBuilder(mapped == nil ? .error : .success, id: id)
        if let mapped { builder.add(xorMappedAddress: mapped) }
        let answer = builder.finish(key: nil)
        return gathering.receive(answer.span, path: path, from: source, now: now)
    }

    @Test("each socket asks a server of its family, and loopback none")
    mutating func asks() throws {
        let asked = run(until: .zero)
        try #require(asked.count == 2)
        for (output, expected) in zip(asked, [(0, Self.servers[0]), (1, Self.servers[2])]) {
            guard case .transmit(let bytes, let path, let server) = output else { return }
            #expect(path == expected.0 && server == expected.1)
            let request = try STUNMessage(parsing: bytes.span)
            #expect(request.class == .request && request.method == STUNMessage.binding && request.id.tag == 7)
        }
    }

    @Test("the answer is the address, told once; asking goes on every 20 s, and a change is told")
    mutating func mapped() throws {
        var changes: [ReflexiveGathering.Output] = []
        var questions = 0
        for second in 0...100 {
            for output in run(until: .zero + .seconds(second)) {
                guard case .transmit(let bytes, let path, let server) = output else {
                    changes.append(output)
                    continue
                }
                guard path == 0 else { continue }
                questions += 1
                var mapped = Self.seen
                if second >= 60 { mapped.port += 1 }
                #expect(try hear(bytes, mapped: mapped, from: server))
            }
        }
        changes += outputs()
        var moved = Self.seen
        moved.port += 1
        #expect(
            changes.filter { $0 != .unanswered(path: 1) } == [
                .mapped(Self.seen, path: 0), .settled, .mapped(moved, path: 0),
            ])
        #expect(questions == 6)
    }

    @Test("a silent server is asked four times in 7.5 s, then the next; when none answers it is said, and tried again")
    mutating func silent() {
        var asked: [(at: MonotonicTime, server: SocketAddress)] = []
        var unanswered: [MonotonicTime] = []
        for step in 0...500 {
            for output in run(until: .zero + .milliseconds(100 * step)) {
                if case .transmit(_, 0, let server) = output { asked.append((now, server)) }
                if output == .unanswered(path: 0) { unanswered.append(now) }
            }
        }
        let expected = [0, 500, 1500, 3500, 7500, 8000, 9000, 11_000, 45_000, 45_500, 46_500, 48_500]
        #expect(asked.map(\.at) == expected.map { .zero + .milliseconds($0) })
        #expect(asked.map(\.server) == (0..<12).map { Self.servers[$0 / 4 % 2] })
        #expect(unanswered == [.zero + .seconds(15)])
    }

    @Test("what nobody was asked for, or another answers, is nothing")
    mutating func forged() throws {
        guard case .transmit(let bytes, 0, let server)? = run(until: .zero).first else { return }
        #expect(try !hear(bytes, from: server, guess: 1))
        #expect(try !hear(bytes, from: Self.servers[1]))
        #expect(try !hear(bytes, from: server, path: 1))
        #expect(try !hear(bytes, mapped: nil, from: server))
        #expect(try !hear(bytes, mapped: Self.servers[2], from: server))
        #expect(try !hear(bytes, mapped: SocketAddress(ipv4: 1 << 24, port: 0), from: server))
        #expect(outputs().isEmpty)
        #expect(try hear(bytes, from: server))
        #expect(outputs() == [.mapped(Self.seen, path: 0)])
        #expect(try !hear(bytes, from: server), "twice")
    }

    @Test("without a server nothing is ever to do")
    func none() {
        let gathering = ReflexiveGathering(
            addresses: Self.own, servers: [], tag: 7, randomness: .seeded(1), now: .zero)
        #expect(gathering.deadline == nil)
        #expect(!gathering.isGathering)
    }

    @Test("it is over when each socket has had its answer, or has asked every server in vain; and that is said once")
    mutating func settled() throws {
        var settled: [MonotonicTime] = []
        for step in 0...1000 {
            for output in run(until: .zero + .milliseconds(100 * step)) {
                if case .transmit(let bytes, 0, let server) = output { #expect(try hear(bytes, from: server)) }
                if output == .settled { settled.append(now) }
            }
            #expect(gathering.isGathering == (step < 75))
        }
        #expect(settled == [.zero + .milliseconds(7500)])
    }
}
