import Logging
import PatchbayPlugin
import Signaling
import Synchronization
import Testing
import WebRTC

@testable import PatchbayKit

@Suite("How a call goes", .timeLimit(.minutes(2)))
struct StatisticsTests {
    /// With another value in every field.
    private static var full: CallStatistics {
        var statistics = CallStatistics()
        (statistics.packetsSent, statistics.packetsReceived, statistics.packetsLost) = (1000, 980, 20)
        (statistics.remotePacketsLost, statistics.remoteLoss) = (10, 0.01234567)
        (statistics.packetsLate, statistics.packetsDuplicate) = (3, 4)
        (statistics.framesReceived, statistics.framesRecovered, statistics.framesConcealed) = (990, 12, 8)
        (statistics.jitter, statistics.remoteJitter) = (.microseconds(4250), .microseconds(6500))
        (statistics.reorderHold, statistics.roundTripTime) = (.milliseconds(40), .microseconds(23_449))
        (statistics.audioLevel, statistics.keyPresses) = (31, 3)
        (statistics.inputDepth, statistics.inputFramesDropped) = (.milliseconds(60), 5)
        (statistics.playoutDepth, statistics.playoutClears, statistics.playoutMarks) = (.seconds(2), 6, 7)
        (statistics.complexity, statistics.bitrate, statistics.sendsFEC) = (5, 32_000, true)
        statistics.dropped.early = 2
        statistics.dropped.tooMany = 9
        statistics.gaps.record(.milliseconds(20))
        statistics.gaps.record(.microseconds(31_500))
        return statistics
    }

    @Test("is told in figures with their units in their names")
    func figures() throws {
        let quality = ListeningQuality(Self.full)
        func score(_ score: Double?) throws -> JSONValue { .number((try #require(score) * 100).rounded() / 100) }
        let expected: [String: JSONValue] = [
            "packets_sent": 1000, "packets_received": 980, "packets_lost": 20, "packets_late": 3,
            "packets_duplicate": 4, "loss": 0.02, "remote_packets_lost": 10, "remote_loss": 0.0123,
            "frames_received": 990, "frames_recovered": 12, "frames_concealed": 8, "jitter_ms": 4.3,
            "remote_jitter_ms": 6.5, "reorder_hold_ms": 40.0, "round_trip_ms": 23.4, "gap_p50_ms": 20.0,
            "gap_p99_ms": 31.0, "gap_max_ms": 31.5, "mos_received": try score(quality.received),
            "mos_sent": try score(quality.sent), "audio_level_dbov": -31, "key_presses": 3, "input_depth_ms": 60.0,
            "input_frames_dropped": 5, "playout_depth_ms": 2000.0, "playout_clears": 6, "playout_marks": 7,
            "complexity": 5, "bitrate_bps": 32_000, "sends_fec": true,
            "dropped": [
                "unvalidated": 0, "early": 2, "unauthentic": 0, "malformed": 0, "too_many": 9, "unknown_stream": 0,
                "stun": 0,
            ],
        ]
        for (name, value) in expected { #expect(Self.full.figures[name] == value, "\(name)") }
        #expect(Set(Self.full.figures.keys) == Set(expected.keys))
    }

    @Test("has every figure before there is anything to tell, null where it is not known")
    func nothingYet() {
        let figures = CallStatistics().figures
        #expect(Set(figures.keys) == Set(Self.full.figures.keys))
        let unknown: Set = [
            "loss", "remote_loss", "remote_jitter_ms", "round_trip_ms", "gap_p50_ms", "gap_p99_ms", "mos_received",
            "mos_sent", "audio_level_dbov",
        ]
        #expect(Set(figures.filter { $0.value == .null }.keys) == unknown)
        #expect(CallStatistics().metadata["mos_sent"] == nil)
    }

    @Test("goes flat into a log line, with the reasons for which something was dropped")
    func metadata() {
        let metadata = Self.full.metadata
        #expect(metadata["dropped_early"] == "2")
        #expect(metadata["dropped_too_many"] == "9")
        #expect(metadata["packets_lost"] == "20")
        #expect(metadata["jitter_ms"] == "4.3")
        #expect(metadata.keys.filter { $0.hasPrefix("dropped") }.count == 2)
        #expect(metadata.count == Self.full.figures.count + 1)
    }

    @Test("is on the admin page for each call, of the peer connection it has")
    func adminPage() async throws {
        let world = World()
        world.media.statistics.withLock { $0 = Self.full }
        let (socket, other) = (await world.socket(), await world.socket(run: 502))
        await socket.offer("PC-a")
        await other.offer("PC-b")
        let calls = try await Self.calls(world)
        #expect(calls.count == 2)
        for call in calls { #expect(call["media"] == .object(Self.full.figures)) }
        #expect(Set(calls.map { $0["run"]?.integer }) == [501, 502])
        await socket.close()
        await other.close()
        #expect(try await Self.calls(world).isEmpty)
    }

    @Test("is left out where a peer connection does not answer, and the page comes all the same")
    func silentLeg() async throws {
        let world = World()
        let socket = await world.socket()
        await socket.offer("PC-a")
        world.media.statistics.withLock { $0 = nil }
        let start = ContinuousClock.now
        let calls = try await Self.calls(world)
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(calls.count == 1)
        #expect(calls.first?.object?["media"] == nil)
        #expect(calls.first?["state"] == "connecting")
        await socket.close()
    }

    private static func calls(_ world: World) async throws -> [JSONValue] {
        let page = AdminPage(environment: world.environment, host: "127.0.0.1", tenant: { _ in nil }) {
            .needsRestart([])
        }
        let response = await page.respond(to: TestRouter.request("/calls"))
        guard case .array(let calls)? = try JSONValue(parsing: response.body)["calls"] else { return [] }
        return calls
    }

    @Test("stands in the line that the log has at a call's end")
    func logLine() async throws {
        let log = RecordedLog()
        let media = NoMedia()
        media.statistics.withLock { $0 = Self.full }
        var environment = CallSupervisor.Environment.test(media: media)
        environment.logger = Logger(label: "test") { _ in log }
        let tenant = Tenant.test(pipeline: ScriptedPipeline { _, _ in })
        let admission = try await Admission(testRequest, pcID: "PC-1", tenant: tenant, environment: environment)
        let (supervisor, _) = try await CallSupervisor.answer(
            offer: "v=0", admission, tenant: tenant, context: [:], environment: environment)
        #expect(await supervisor.run().reason == "pipeline_finished")
        let line = try #require(log.lines.byMessage.withLock { $0["call ended"] })
        for (name, value) in Self.full.metadata { #expect(line[name] == value, "\(name)") }
        #expect(line["reason"] == "pipeline_finished")
        #expect(line["call"] == "call" && line["tenant"] == "default")
        #expect(line["pipeline"] == "script" && line["workflow"] == "1")
        #expect(Int(try #require(line["duration_ms"]).description) ?? -1 >= 0)
    }
}
