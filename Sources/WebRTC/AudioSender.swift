import Audio
import SDP
import Wire

/// Sends what a pipeline plays: a frame every 20 ms by an absolute schedule, which begins anew with each talkspurt.
///
/// Silence is neither encoded nor sent, and an empty queue does not even cost a timer; the RTP clock goes on.
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
    /// The schedule's grid: what falls on one point of it costs one wake-up.
    private static let grid = Duration.milliseconds(1)
    /// Frames of silence after the last sound, so that its end is not cut off in the codec and the peer's buffer.
    private static let hangover = 3
    /// Frames sent late in one go before the schedule is moved instead.
    private static let catchUp: Int64 = 1
    /// How long a frame waits that a live pipeline has just delivered, so that the next may be a little late.
    private static let margin = Duration.milliseconds(1)
    /// How far the schedule moves back for a frame that was not there in time. One that is later than this leaves at once,
    /// and those after it in time: what is late once is not to make the rest of a talkspurt late.
    private static let yielding = Duration.milliseconds(1)
    /// After so many frames in time the schedule of a live pipeline's call is moved forward by a point of the grid. With
    /// `yielding` it makes one frame in ten of an uneven pipeline late: the peer has to wait for the network's jitter anyway,
    /// and jitter that is waited for twice is delay.
    private static let proof = 10

    private var encoder: OpusEncoder
    private var resampler: Resampler
    private var loss = LossFollower()
    private var pace: PlayoutPace
    /// Calls that begin to talk at the same moment do not all fall on one point.
    private let spread: Duration
    private let queue: PlayoutQueue
    private var samples: [Int16]
    private var upsampled = [Int16](repeating: 0, count: samplesPerFrame)

    /// When the next frame is due; nil while the sender rests.
    private var nextTick: MonotonicTime?
    /// When a frame was due and none was there: the next is sent when it comes, not when the schedule would have it.
    private var missedTick: MonotonicTime?
    private let firstTimestamp: UInt32
    private let start: MonotonicTime
    /// What the next frame's timestamp stands for. Within a talkspurt frames follow on one another there, however late the
    /// schedule had to become for a pipeline.
    private var mediaTime: MonotonicTime
    private var framesInTime = 0
    private var sequenceNumber: UInt16
    /// Frames since the last one with sound; from `hangover` on nothing is encoded.
    private var quietFrames = hangover
    private var hasPaused = true
    private var takesFEC = false
    private var usesDTX = false

    /// - Parameter rate: Hz of what `queue` holds.
    init(
        rate: Int, queue: PlayoutQueue, settings: EncoderSettings, randomness: inout RandomSource, now: MonotonicTime
    ) throws(AudioError) {
        var settings = settings
        settings.bandwidth = min(settings.bandwidth, .init(holding: rate))
        encoder = try OpusEncoder(settings)
        resampler = try Resampler(from: rate, to: 48_000)
        self.queue = queue
        samples = [Int16](repeating: 0, count: rate / 50)
        pace = PlayoutPace(frame: rate / 50)
        // What the sender before this one took last has been played: who waits for that is told.
        var none: [Int16] = []
        var span = none.mutableSpan
        _ = queue.pull(into: &span, count: 0)
        spread = .milliseconds(Int64(randomness.next() % 5))
        start = now.roundedUp(to: Self.grid)
        mediaTime = start
        firstTimestamp = UInt32(truncatingIfNeeded: randomness.next())
        // Below 2^15, so that loss of the first packets cannot hide a wrap from SRTP (RFC 3711 §3.3.1).
        sequenceNumber = UInt16(truncatingIfNeeded: randomness.next()) & 0x7fff
    }

    /// When there is something to do; nil until something is played. In the past when that has happened just now.
    var deadline: MonotonicTime? {
        nextTick == nil || missedTick != nil ? (queue.isPlaying ? start : nextTick) : nextTick
    }

    /// When the next frame is due; nil while the sender rests.
    var tick: MonotonicTime? { nextTick }

    /// What the encoder works at, in bit/s.
    var bitrate: Int { encoder.bitrate }
    /// Whether packets carry copies of what came before.
    var sendsFEC: Bool { encoder.sendsFEC }

    /// How much work the encoder does for a frame, 0 … 10.
    var complexity: Int { encoder.complexity }

    func limitComplexity(to limit: Int) {
        encoder.limitComplexity(to: limit)
    }

    /// Follows what the peer wants to receive (RFC 7587 §6.1).
    func adapt(to parameters: OpusParameters) {
        takesFEC = parameters.useInbandFEC
        usesDTX = parameters.useDTX
        var wishes = OpusEncoder.Wishes()
        wishes.bitrate = parameters.maxAverageBitrate
        wishes.playbackRate = parameters.maxPlaybackRate
        wishes.useDTX = parameters.useDTX
        wishes.constantBitrate = parameters.constantBitrate
        encoder.follow(wishes)
        encoder.setLoss(percentage: takesFEC ? loss.percentage : 0)
    }

    /// Follows what the peer reports to have lost, in 1/256.
    func peerLoses(fraction: UInt8) {
        loss.reported(fraction: fraction)
        encoder.setLoss(percentage: takesFEC ? loss.percentage : 0)
    }

    /// The RTP clock at `now`, for a report and for frames.
    func timestamp(at now: MonotonicTime) -> UInt32 {
        let (milliseconds, rest) = (now - start).nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return firstTimestamp &+ UInt32(truncatingIfNeeded: milliseconds &* 48 &+ rest &* 48 / 1_000_000)
    }

    func takeSequenceNumber() -> UInt16 {
        defer { sequenceNumber &+= 1 }
        return sequenceNumber
    }

    /// Encodes the next frame that is due to `packet`, from `offset` on; nil when none is left to send by `now`.
    func nextFrame(now: MonotonicTime, into packet: inout [UInt8], at offset: Int) -> Frame? {
        if nextTick == nil || missedTick != nil, queue.isPlaying { schedule(now) }
        while let tick = nextTick, tick <= now {
            let due = skippingIfFarBehind(tick, now)
            nextTick = due + Self.interval
            if let frame = encode(&samples, &upsampled, due: due, into: &packet, at: offset) { return frame }
        }
        return nil
    }

    /// When the frame is sent that has come to a queue in which none was: at once if there are more, else a little later.
    private func schedule(_ now: MonotonicTime) {
        let isAhead = queue.queuedSamples >= 2 * samples.count
        var tick = now + (isAhead ? .zero : missedTick != nil ? Self.margin : Self.margin + spread)
        if let missedTick { tick = min(tick, missedTick + Self.yielding) }
        nextTick = tick.roundedUp(to: Self.grid)
        (missedTick, framesInTime) = (nil, 0)
    }

    /// A loop that was away sends one frame late and leaves the rest out: a burst would only fill the peer's buffer.
    private func skippingIfFarBehind(_ tick: MonotonicTime, _ now: MonotonicTime) -> MonotonicTime {
        let behind = (now - tick).nanoseconds / Self.interval.nanoseconds
        guard behind > Self.catchUp else { return tick }
        let skipped = Duration.nanoseconds((behind &- Self.catchUp) &* Self.interval.nanoseconds)
        mediaTime = mediaTime + skipped
        return tick + skipped
    }

    /// A live pipeline whose frames are always there in time may have been late once, long ago: what was waited for then is
    /// given back, bit by bit. And what a stall left queued leaves a little faster than it came, where no pause takes it.
    private func moveForward() {
        framesInTime = queue.isPlaying ? 0 : framesInTime + 1
        guard let tick = nextTick, framesInTime >= Self.proof || pace.gain(Self.grid) else { return }
        framesInTime = 0
        nextTick = tick - Self.grid
    }

    /// - Parameters:
    ///   - samples: where a frame at the pipeline's rate is put.
    ///   - upsampled: where it is put at 48 kHz.
    private func encode(
        _ samples: inout [Int16], _ upsampled: inout [Int16], due: MonotonicTime, into packet: inout [UInt8],
        at offset: Int
    ) -> Frame? {
        let wasTalking = quietFrames < Self.hangover
        var frame = samples.mutableSpan
        let pulled = pace.pull(from: queue, into: &frame, isTalking: wasTalking, now: due)
        if pulled == .sound {
            (quietFrames, missedTick) = (0, nil)
            moveForward()
        } else if pulled == .nothing, quietFrames == 0 {
            missedTick = due
            quietFrames = 1
            return nil
        } else {
            missedTick = pulled == .nothing && wasTalking ? due : nil
            quietFrames = min(quietFrames &+ 1, Self.hangover)
            guard wasTalking else {
                hasPaused = true
                if pulled == .nothing { nextTick = nil }
                return nil
            }
            for index in frame.indices { frame[index] = 0 }
        }
        if !wasTalking { mediaTime = max(mediaTime, due) }
        let timestamp = timestamp(at: mediaTime)
        mediaTime = mediaTime + Self.interval
        do throws(AudioError) {
            var upsampledSpan = upsampled.mutableSpan
            _ = try resampler.process(samples.span, into: &upsampledSpan)
            var payload = packet.mutableSpan
            let length = try encoder.encode(upsampled.span, into: &payload, at: offset)
            guard !usesDTX || length > OpusEncoder.unsentPacket else {
                hasPaused = true
                return nil
            }
            defer { hasPaused = false }
            return Frame(timestamp: timestamp, startsTalking: hasPaused, payloadLength: length)
        } catch {
            return nil
        }
    }
}
