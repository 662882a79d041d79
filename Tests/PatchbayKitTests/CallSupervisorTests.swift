import Media
import PatchbayPlugin
import Synchronization
import Testing
import WebRTC

@testable import PatchbayKit

@Suite("A call's life, and what it holds until its end", .serialized)
struct CallSupervisorTests {
    @Test(
        "the lease ends when the pipeline returns, throws or hangs up",
        arguments: [
            ("returns", "pipeline_finished"), ("throws", "pipeline_failed"), ("hangs up", "enough"),
        ])
    func pipelineEnds(way: String, reason: String) async throws {
        let quota = CountingQuota()
        let pipeline = ScriptedPipeline { call, audio in
            #expect(call.leaseMetadata == ["seat": "1"])
            for await _ in audio.input {
                switch way {
                case "returns": return
                case "throws": throw CallerError("broken")
                default: call.hangUp(reason: "enough")
                }
            }
        }
        let loopback = try LoopbackCall()
        defer { loopback.stop() }
        let (supervisor, _) = try await loopback.place(.test(pipeline: pipeline, quotas: [.test(quota)]))
        #expect(loopback.environment.registry.leases.load(ordering: .relaxed) == 1)
        #expect(await supervisor.run().reason == reason)
        #expect(quota.tally == CountingQuota.Tally(admitted: 1, renewed: 0, released: 1))
        #expect(loopback.environment.registry.leases.load(ordering: .relaxed) == 0)
        #expect(await eventually { loopback.engine.load == 0 })
    }

    @Test("the lease ends when the caller closes its connection")
    func callerCloses() async throws {
        let quota = CountingQuota()
        let loopback = try LoopbackCall()
        defer { loopback.stop() }
        let heard = Mutex(false)
        let pipeline = ScriptedPipeline { _, audio in
            for await _ in audio.input { heard.withLock { $0 = true } }
        }
        let (supervisor, media) = try await loopback.place(.test(pipeline: pipeline, quotas: [.test(quota)]))
        async let reason = supervisor.run().reason
        #expect(await eventually { heard.withLock { $0 } })
        media.close()
        #expect(await reason == "peer_connection_closed")
        #expect(quota.tally.released == 1)
    }

    @Test("the lease ends when media never connects")
    func neverConnects() async throws {
        let quota = CountingQuota()
        let loopback = try LoopbackCall()
        defer { loopback.stop() }
        loopback.caller.stop()
        let other = try LoopbackCall()
        defer { other.stop() }
        let tenant = Tenant.test(quotas: [.test(quota)], connectLimit: .milliseconds(200))
        let (supervisor, media) = try await other.place(tenant)
        media.close()
        #expect(await supervisor.run().reason == "peer_connection_closed")
        #expect(quota.tally.released == 1)
    }

    @Test("a pipeline that ignores its cancellation keeps neither the lease nor the call")
    func stubbornPipeline() async throws {
        let quota = CountingQuota()
        let loopback = try LoopbackCall()
        defer { loopback.stop() }
        let release = AsyncStream<Void>.makeStream()
        let pipeline = ScriptedPipeline { _, _ in
            // A detached wait: cancelling the pipeline's task does not end it.
            await Task.detached { for await _ in release.stream {} }.value
        }
        let (supervisor, _) = try await loopback.place(.test(pipeline: pipeline, quotas: [.test(quota)]))
        async let reason = supervisor.run().reason
        supervisor.hangUp(reason: "socket_closed")
        #expect(await reason == "socket_closed")
        #expect(quota.tally.released == 1)
        release.continuation.finish()
    }

    @Test("keys that the caller presses reach the pipeline, from the peer connection that the call has")
    func keys() async throws {
        let environment = CallSupervisor.Environment.test(media: NoMedia())
        let keys = Mutex("")
        let pipeline = ScriptedPipeline { call, _ in
            for await key in call.dtmf {
                keys.withLock { $0.append(key) }
                if key == "#" { call.hangUp(reason: keys.withLock(\.self)) }
            }
        }
        let tenant = Tenant.test(pipeline: pipeline)
        let admission = try await Admission(testRequest, pcID: "PC-1", tenant: tenant, environment: environment)
        let (supervisor, _) = try await CallSupervisor.answer(
            offer: "one", admission, tenant: tenant, context: [:], environment: environment)
        let first = try #require(supervisor.media as? NoMedia.Leg)
        first.onEvent(.connected)
        for key in "12" { first.onEvent(.keyPress(key)) }
        async let reason = supervisor.run().reason
        #expect(await eventually { keys.withLock(\.self) == "12" })
        _ = try await supervisor.restart(offer: "two")
        let second = try #require(supervisor.media as? NoMedia.Leg)
        first.onEvent(.keyPress("9"))
        for key in "*A#" { second.onEvent(.keyPress(key)) }
        #expect(await reason == "12*A#")
    }

    @Test("a call ends at its limit")
    func timeLimit() async throws {
        let loopback = try LoopbackCall()
        defer { loopback.stop() }
        let (supervisor, _) = try await loopback.place(.test(callLimit: .milliseconds(300)))
        #expect(await supervisor.run().reason == "time_limit")
    }

    @Test("a call in which nobody speaks ends at its idle limit, one with sound goes on")
    func idleLimit() async throws {
        let loopback = try LoopbackCall()
        defer { loopback.stop() }
        let (silent, _) = try await loopback.place(.test(idleLimit: .milliseconds(300)))
        #expect(await silent.run().reason == "idle")
        let speaking = ScriptedPipeline { _, audio in
            while !Task.isCancelled {
                try await audio.output.play(PCMFrame([Int16](repeating: 1000, count: 16_000), sampleRate: 16_000))
            }
        }
        // An echo plays on without a word.
        let humming = ScriptedPipeline { _, audio in
            while !Task.isCancelled {
                try await audio.output.play(PCMFrame([Int16](repeating: 100, count: 16_000), sampleRate: 16_000))
            }
        }
        let (hum, _) = try await loopback.place(.test(pipeline: humming, idleLimit: .milliseconds(300)))
        #expect(await hum.run().reason == "idle")
        let tenant = Tenant.test(pipeline: speaking, callLimit: .seconds(1), idleLimit: .milliseconds(300))
        let (loud, _) = try await loopback.place(tenant)
        #expect(await loud.run().reason == "time_limit")
    }

    @Test("a lease that expires is renewed while the call lives")
    func renewal() async throws {
        let quota = CountingQuota(timeToLive: .milliseconds(150))
        let loopback = try LoopbackCall()
        defer { loopback.stop() }
        let tenant = Tenant.test(quotas: [.test(quota)], callLimit: .milliseconds(900))
        let (supervisor, _) = try await loopback.place(tenant)
        _ = await supervisor.run()
        #expect(quota.tally.renewed >= 3)
        let renewed = quota.tally.renewed
        try await Task.sleep(for: .milliseconds(200))
        #expect(quota.tally.renewed == renewed)
    }

    @Test(
        "a quota that denies a renewal ends the call and says why; with any other error the call goes on",
        arguments: [true, false])
    func deniedRenewal(isDenial: Bool) async throws {
        let denial = Denial(code: "call_minutes_exceeded", message: "No call minutes are left")
        let quota = CountingQuota(
            timeToLive: .milliseconds(90), renewalError: isDenial ? denial : CallerError("the store is away"))
        let loopback = try LoopbackCall()
        defer { loopback.stop() }
        let tenant = Tenant.test(quotas: [.test(quota)], callLimit: isDenial ? .seconds(10) : .milliseconds(400))
        let (supervisor, _) = try await loopback.place(tenant)
        let end = await supervisor.run()
        #expect(end.reason == (isDenial ? denial.code : "time_limit"))
        #expect(end.detail == (isDenial ? denial.message : nil))
        #expect(quota.tally.renewed == 1 || !isDenial && quota.tally.renewed > 1)
        #expect(quota.tally.released == 1)
    }

    @Test("an offer that cannot be answered gives the lease back", arguments: ["", "v=0\r\n", "nonsense"])
    func badOffer(sdp: String) async throws {
        let quota = CountingQuota()
        let loopback = try LoopbackCall()
        defer { loopback.stop() }
        let tenant = Tenant.test(quotas: [.test(quota)])
        let admission = try await Admission(
            testRequest, pcID: "PC-1", tenant: tenant, environment: loopback.environment)
        await #expect(throws: (any Error).self) {
            _ = try await CallSupervisor.answer(
                offer: sdp, admission, tenant: tenant, context: [:], environment: loopback.environment)
        }
        #expect(quota.tally == CountingQuota.Tally(admitted: 1, renewed: 0, released: 1))
        #expect(loopback.engine.load == 0)
    }
}
