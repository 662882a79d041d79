import Audio
import RTP
import Testing
import WebRTC
import Wire

@Suite("What a peer with the keys can do to its own call, and no more")
struct LimitTests {
    @Test("1000 packets a second: 250 are taken, the call goes on, and its sound comes back")
    func flood() async throws {
        let call = try RawCall(seed: 1)
        call.every(.milliseconds(1), times: 5000) { _ in call.raw.sendVoice() }
        #expect(call.statistics.packetsReceived <= 250 * 6)
        #expect(call.statistics.dropped.tooMany >= 3000)
        call.world.run(for: .seconds(1))
        let before = call.statistics.packetsReceived
        call.every(times: 100) { _ in call.raw.sendVoice() }
        #expect(call.statistics.packetsReceived == before + 100)
        let elapsed = call.elapsed
        let heard = await call.endpoint.heard()
        #expect(heard.suffix(80).allSatisfy { !$0.silent })
        #expect(heard.duration <= elapsed + .milliseconds(1200))
        #expect(call.endpoint.end == nil)
    }

    @Test("packets of 120 ms, 200 a second: no more sound than time has passed, and a second")
    func longPackets() async throws {
        let call = try RawCall(seed: 2)
        call.every(.milliseconds(5), times: 2000) { _ in
            // Code 3: 48 frames of 2.5 ms, two bytes each.
            let noise = (0..<96).map { _ in UInt8.random(in: 0...255, using: &call.world.generator) }
            call.raw.send(payload: [0xe3, 48] + noise)
            call.raw.timestamp &+= 5760
        }
        let elapsed = call.elapsed
        #expect(call.statistics.dropped.malformed == 0)
        #expect(call.statistics.dropped.tooMany > 1500)
        let heard = await call.endpoint.heard()
        #expect(heard.soundingCount > 400)
        #expect(heard.duration <= elapsed + .milliseconds(1300))
        #expect(call.endpoint.end == nil)
    }

    @Test("packets that each claim a gap or a pause before them buy no more work than two seconds a second")
    func gaps() async throws {
        for (steps, time) in [(6, 6 * 960), (1, 48_000)] as [(UInt16, UInt32)] {
            let call = try RawCall(seed: 4)
            call.every(.milliseconds(5), times: 2000) { _ in
                // Silence is left out of a pipeline's input that is ahead of time, and would cost its decoding all the same.
                call.raw.sendSilence()
                call.raw.sequenceNumber &+= steps &- 1
                call.raw.timestamp &+= time &- 960
            }
            let statistics = call.statistics
            #expect(statistics.framesConcealed <= 2 * 50 * 11)
            #expect(statistics.framesReceived <= 2 * 50 * 11)
            #expect(statistics.dropped.tooMany >= 900, "\(statistics.dropped)")
            let elapsed = call.elapsed
            #expect(await call.endpoint.heard().duration <= elapsed + .milliseconds(1300))
            #expect(call.endpoint.end == nil)
        }
    }

    @Test("reports: 20 a second are read")
    func reports() throws {
        let call = try RawCall(seed: 3)
        var report: [UInt8] = []
        RTCPWriter.write(ssrc: call.raw.ssrc, report: nil, blocks: [], cname: "raw", into: &report)
        call.every(.milliseconds(5), times: 1000) { _ in call.raw.send(rtcp: report) }
        #expect((870...900).contains(call.statistics.dropped.tooMany))
        #expect(call.endpoint.end == nil)
    }

    @Test("packets that authenticate and make no sense are counted, and the call goes on", arguments: seeds(5))
    func nonsense(_ seed: UInt64) throws {
        let call = try RawCall(seed: seed)
        call.every(.milliseconds(5), times: 2000) { _ in
            let length = Int.random(in: 0...120, using: &call.world.generator)
            var payload = (0..<length).map { _ in UInt8.random(in: 0...255, using: &call.world.generator) }
            switch Int.random(in: 0...3, using: &call.world.generator) {
            case 0:
                call.raw.timestamp = .random(in: 0...UInt32.max, using: &call.world.generator)
                call.raw.send(payload: payload)
            case 1:
                call.raw.sequenceNumber &+= .random(in: 0...4000, using: &call.world.generator)
                call.raw.send(payload: payload, payloadType: 110)
            case 2:
                payload.insert(contentsOf: [0xb0, 111, 0, 1], at: 0)
                call.raw.send(rtp: payload + [UInt8](repeating: 7, count: 12))
            default:
                call.raw.send(rtcp: [0x80 | UInt8(length & 31), 200 + UInt8(length & 3), 0, UInt8(length)] + payload)
            }
        }
        #expect(call.endpoint.end == nil)
        call.raw.ssrc = 5
        call.every(times: 50) { _ in call.raw.sendVoice() }
        #expect(call.statistics.dropped.malformed > 0)
        #expect(call.endpoint.end == nil)
    }
}
