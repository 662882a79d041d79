import Audio
import CPacketPath
import Media
import Synchronization
import WebRTC
import Wire

/// Calls between two media engines over loopback: one side speaks, the other's pipeline says it back as it comes. The
/// loops' turns are counted.
struct LoopCalls {
    private static let calls = 5
    private static let seconds = 12

    static func run() async throws {
        let address = SocketAddress(ipv4: 0x7f00_0001, port: 0)
        // One port for each caller: what comes from an address that is in use belongs to the call that uses it.
        let engines = (
            try MediaEngine(addresses: [address], ports: nil, loops: calls),
            try MediaEngine(addresses: [address], ports: nil, loops: 1)
        )
        defer {
            engines.0.stop()
            engines.1.stop()
        }
        let connected = Atomic(0)
        var callers: [Side] = []
        var callees: [Side] = []
        for _ in 0..<calls {
            let (caller, callee) = (Side(), Side())
            callers.append(caller)
            callees.append(callee)
            let note: @Sendable (PeerConnection.Event) -> Void = {
                if $0 == .connected { connected.add(1, ordering: .relaxed) }
            }
            let offered = try await engines.0.offer(caller.settings, onEvent: note)
            let answered = try await engines.1.answer(offer: offered.offer, callee.settings, onEvent: note)
            try await offered.call.accept(answer: answered.answer.sdp)
        }
        for (number, caller) in callers.enumerated() {
            try await caller.output.play(speech(seconds: seconds + 8, seed: UInt64(number)))
        }
        // The pipelines come late, so that the queues to them have been full once and have grown.
        try await Task.sleep(for: .seconds(3))
        for callee in callees { callee.echo() }
        for caller in callers { caller.listen() }
        try await Task.sleep(for: .seconds(2))
        guard connected.load(ordering: .relaxed) == 2 * calls else { throw Fault.notConnected }
        counter_reset()
        counter_watch_loops(true)
        try await Task.sleep(for: .seconds(seconds))
        counter_watch_loops(false)
        for side in callers + callees { side.input.finish() }
    }

    private struct Side {
        let input = PCMInputQueue(frameSize: 320)
        let output = PlayoutQueue(rate: 16_000)

        var settings: CallSettings { CallSettings(inputRate: 16_000, outputRate: 16_000, input: input, output: output) }

        func listen() {
            Task(executorPreference: PipelineExecutor.shared) { [input] in
                while await input.next() != nil {}
            }
        }

        func echo() {
            Task(executorPreference: PipelineExecutor.shared) { [input, output] in
                while let frame = await input.next() { try await output.play(frame.samples) }
            }
        }
    }
}
