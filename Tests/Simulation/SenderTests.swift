import Audio
import RTP
import Testing
import WebRTC
import Wire

@Suite("What a call sends, and when")
struct SenderTests {
    /// When packets with sound leave the gateway's side.
    private final class Departures {
        var times: [MonotonicTime] = []

        init(of address: SocketAddress, in world: World) {
            world.observe = { [unowned self] datagram in
                if datagram.from == address, PacketKind(datagram.bytes.span) == .rtp { times.append(datagram.at) }
            }
        }

        var steps: Set<Duration> { Set(zip(times, times.dropFirst()).map { $1 - $0 }) }
    }

    @Test(
        "the first frame leaves as soon as it is there, the others every 20 ms, at times 1 ms earlier",
        arguments: seeds(20))
    func phase(_ seed: UInt64) async throws {
        let call = try RawCall(seed: seed)
        let departures = Departures(of: call.endpoint.address, in: call.world)
        call.world.run(for: .nanoseconds(Int64.random(in: 0...20_000_000, using: &call.world.generator)))
        let start = call.world.now
        // A pipeline in real time, whose frames come up to 1 ms early or late.
        let tone = Signal.tone(seconds: 1)
        for number in 0..<50 {
            let late = Double.random(in: -1...1, using: &call.world.generator)
            let due = start + .nanoseconds(Int64((Double(number * 20) + (number == 0 ? 0 : late)) * 1e6))
            call.world.run(for: due - call.world.now)
            try await call.endpoint.output.play(Array(tone[320 * number..<320 * (number + 1)]))
        }
        call.world.run(for: .milliseconds(200))
        let first = try #require(departures.times.first)
        #expect(first - start <= .milliseconds(6), "seed \(seed): \(first - start)")
        #expect(
            departures.steps.allSatisfy {
                ($0 >= .milliseconds(19) && $0 <= .milliseconds(22)) || abs(($0 - .milliseconds(40)).milliseconds) <= 1
            },
            "seed \(seed): \(departures.steps)")
        #expect((50...55).contains(departures.times.count), "seed \(seed): \(departures.times.count)")
    }

    @Test("a loop that was away sends two frames at most at once, and its clock is right", arguments: [100, 400, 3000])
    func stall(milliseconds: Int) async throws {
        let call = try RawCall(seed: 1)
        let departures = Departures(of: call.endpoint.address, in: call.world)
        try await call.endpoint.output.play(Signal.tone(seconds: 8))
        call.world.run(for: .seconds(1))
        call.world.nodes = [call.raw]
        call.world.run(for: .milliseconds(milliseconds))
        call.world.nodes = [call.raw, call.endpoint]
        call.world.run(for: .seconds(1))
        #expect(Dictionary(grouping: departures.times) { $0 }.values.map(\.count).max() ?? 0 <= 2)
        let after = departures.times.drop { $0 - call.start <= .milliseconds(1000 + milliseconds) }
        #expect(Set(zip(after, after.dropFirst()).map { $1 - $0 }) == [.milliseconds(20)])
        let headers = call.raw.received
        let (first, last) = (try #require(headers.first), try #require(headers.last))
        let time = try #require(departures.times.dropLast(headers.count == departures.times.count ? 0 : 1).last)
        let sent = (time - departures.times[0]).milliseconds
        #expect(abs(Double(last.timestamp &- first.timestamp) / 48 - sent) <= 25)
    }

    @Test("silence is not sent, time goes on, and sound after it is marked", arguments: [0, 32] as [Int16])
    func silence(loudest: Int16) async throws {
        let call = try RawCall(seed: 2)
        let quiet = (0..<16_000).map { $0 % 2 == 0 ? loudest : -loudest }
        try await call.endpoint.output.play(Signal.tone(seconds: 0.4) + quiet + Signal.tone(seconds: 0.4))
        call.world.run(for: .seconds(3))
        let headers = call.raw.received
        // 20 frames each time, and at most 5 of silence behind them.
        #expect((40...52).contains(headers.count), "\(headers.count)")
        let marked = headers.indices.filter { headers[$0].marker }
        #expect(marked.count == 2)
        let (first, second) = (headers[try #require(marked.first)], headers[try #require(marked.last)])
        #expect(second.timestamp &- first.timestamp == 48 * 1400)
        #expect(zip(headers, headers.dropFirst()).allSatisfy { $1.sequenceNumber == $0.sequenceNumber &+ 1 })
    }

    @Test("silence from the first sample on costs no packet at all")
    func onlySilence() async throws {
        let call = try RawCall(seed: 3)
        try await call.endpoint.output.play([Int16](repeating: 0, count: 5 * 16_000))
        call.world.run(for: .seconds(6))
        #expect(call.raw.received.isEmpty)
        #expect(call.statistics.packetsSent == 0)
    }

    @Test("forward error correction begins above 3 % of loss, as reported, and ends below 1 %")
    func correction() async throws {
        let call = try RawCall(seed: 4)
        func report(_ fraction: UInt8, seconds: Int) {
            call.every(.seconds(1), times: seconds) { _ in
                var report: [UInt8] = []
                let block = ReportBlock(
                    ssrc: call.endpoint.peer.ssrc, fractionLost: fraction, cumulativeLost: 0,
                    highestSequence: 0, jitter: 0, lastSenderReport: 0, delaySinceLastSenderReport: 0)
                RTCPWriter.write(ssrc: call.raw.ssrc, report: nil, blocks: [block], cname: "raw", into: &report)
                call.raw.send(rtcp: report)
            }
        }
        report(0, seconds: 3)
        #expect(!call.statistics.sendsFEC)
        report(4, seconds: 10)
        #expect(!call.statistics.sendsFEC, "1.6 %")
        report(20, seconds: 10)
        #expect(call.statistics.sendsFEC, "7.8 %")
        report(5, seconds: 10)
        #expect(call.statistics.sendsFEC, "2 %: not below 1 % yet")
        report(0, seconds: 10)
        #expect(!call.statistics.sendsFEC)
    }
}
