import Audio
import SDP
import Wire

/// Sends what a pipeline plays: a frame every 20 ms by an absolute schedule, in a phase of the call's own.
///
/// An empty queue costs nothing: nothing is encoded or sent, and the RTP clock goes on.
final class AudioSender {
    struct Frame {
        /// On the RTP clock, 48 kHz.
        var timestamp: UInt32
        /// The first after a silence (RFC 3551 §4.1).
        var startsTalking: Bool
        /// Bytes.
        var payloadLength: Int
    }

    private static let interval = Duration.milliseconds(20)
    private static let samplesPerFrame = 960
    /// Frames of silence after the last sound, so that its end is not cut off in the codec and the peer's buffer.
    private static let hangover = 5
    /// Frames sent late in one go before the schedule is moved instead.
    private static let catchUp = 2

    private var encoder: OpusEncoder
    private var resampler: Resampler
    private let queue: PlayoutQueue
    /// Samples in 20 ms at the pipeline's rate.
    private let samplesPerPull: Int
    private var samples: [Int16]
    private var upsampled = [Int16](repeating: 0, count: samplesPerFrame)

    private(set) var deadline: MonotonicTime
    private let firstTimestamp: UInt32
    private let start: MonotonicTime
    private var timestamp: UInt32
    private var sequenceNumber: UInt16
    /// Frames since the last one with sound; at `hangover` the sender rests.
    private var quietFrames = hangover
    private var hasWaited = false
    private var takesFEC = false

    init(rate: Int, queue: PlayoutQueue, randomness: inout RandomSource, now: MonotonicTime) throws(AudioError) {
        encoder = try OpusEncoder()
        resampler = try Resampler(from: rate, to: 48_000)
        self.queue = queue
        samplesPerPull = rate / 50
        samples = [Int16](repeating: 0, count: rate / 50)
        // A phase of its own for each call spreads the encoding over the 20 ms.
        start = now + .microseconds(Int64(randomness.next() % 20_000))
        deadline = start
        firstTimestamp = UInt32(truncatingIfNeeded: randomness.next())
        timestamp = firstTimestamp
        // Below 2^15, so that loss of the first packets cannot hide a wrap from SRTP (RFC 3711 §3.3.1).
        sequenceNumber = UInt16(truncatingIfNeeded: randomness.next()) & 0x7fff
    }

    /// Follows what the peer wants to receive (RFC 7587 §6.1).
    func adapt(to parameters: OpusParameters) {
        takesFEC = parameters.useInbandFEC
        encoder.setBitrate(min(parameters.maxAverageBitrate ?? OpusEncoder.defaultBitrate, OpusEncoder.defaultBitrate))
    }

    /// Follows what the peer reports to have lost, in 1/256.
    func peerLoses(fraction: UInt8) {
        encoder.setLoss(percentage: takesFEC ? Int(fraction) * 100 / 256 : 0)
    }

    /// The RTP clock at `now`, for a sender report.
    func timestamp(at now: MonotonicTime) -> UInt32 {
        firstTimestamp &+ UInt32(truncatingIfNeeded: (now - start).nanoseconds / 1000 &* 48 / 1000)
    }

    func takeSequenceNumber() -> UInt16 {
        defer { sequenceNumber &+= 1 }
        return sequenceNumber
    }

    /// Encodes the next frame that is due to `packet`, from `offset` on; nil when none is left to send by `now`.
    func nextFrame(now: MonotonicTime, into packet: inout [UInt8], at offset: Int) -> Frame? {
        while deadline <= now {
            skipIfFarBehind(now)
            let due = timestamp
            deadline = deadline + Self.interval
            timestamp &+= UInt32(Self.samplesPerFrame)
            if let frame = encode(&samples, &upsampled, timestamp: due, into: &packet, at: offset) { return frame }
        }
        return nil
    }

    /// A loop that was away sends two frames late and leaves the rest out: a burst would only fill the peer's buffer.
    private func skipIfFarBehind(_ now: MonotonicTime) {
        let behind = (now - deadline).nanoseconds / Self.interval.nanoseconds
        guard behind > Int64(Self.catchUp) else { return }
        let skipped = behind &- Int64(Self.catchUp)
        deadline = deadline + .nanoseconds(skipped &* Self.interval.nanoseconds)
        timestamp &+= UInt32(truncatingIfNeeded: skipped &* Int64(Self.samplesPerFrame))
    }

    /// - Parameters:
    ///   - samples: where a frame at the pipeline's rate is put.
    ///   - upsampled: where it is put at 48 kHz.
    private func encode(
        _ samples: inout [Int16], _ upsampled: inout [Int16], timestamp: UInt32, into packet: inout [UInt8],
        at offset: Int
    ) -> Frame? {
        let isResting = quietFrames >= Self.hangover
        if isResting, !isReadyToTalk() { return nil }
        var frame = samples.mutableSpan
        if queue.pull(into: &frame, count: frame.count) > 0 {
            quietFrames = 0
        } else if isResting {
            return nil
        } else {
            for index in frame.indices { frame[index] = 0 }
            quietFrames += 1
        }
        do throws(AudioError) {
            var upsampledSpan = upsampled.mutableSpan
            _ = try resampler.process(samples.span, into: &upsampledSpan)
            var payload = packet.mutableSpan
            let length = try encoder.encode(upsampled.span, into: &payload, at: offset)
            return Frame(timestamp: timestamp, startsTalking: isResting, payloadLength: length)
        } catch {
            return nil
        }
    }

    /// A pipeline that delivers 20 ms every 20 ms gets one frame's head start, so that its unevenness is not heard.
    private func isReadyToTalk() -> Bool {
        guard queue.isPlaying else {
            hasWaited = false
            return false
        }
        guard hasWaited || queue.queuedSamples >= 2 * samplesPerPull else {
            hasWaited = true
            return false
        }
        hasWaited = false
        return true
    }
}
