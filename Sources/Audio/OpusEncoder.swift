internal import COpus

/// One stream's Opus encoder: 20 ms frames of mono speech at 48 kHz (RFC 6716 §2.1).
@safe package struct OpusEncoder: ~Copyable {
    /// What the peer would like (RFC 7587 §6.1).
    package struct Wishes: Sendable, Equatable {
        /// Bit/s at most.
        package var bitrate: Int?
        /// The rate in Hz of the sound that it can make use of.
        package var playbackRate: Int?
        package var useDTX = false
        package var constantBitrate = false

        package init() {}
    }

    /// Below this libopus puts no forward error correction in, whatever the loss.
    package static let minimumBitrateWithLoss = 24_000
    /// The longest packet `encode` makes, in bytes: 20 ms at 160 kbit/s.
    package static let maximumPacket = 400
    /// A packet of no more than this says that nothing has changed: with DTX it need not be sent.
    package static let unsentPacket = 2

    private let encoder: OpaquePointer
    private let settings: EncoderSettings
    private var wishes = Wishes()
    private var lossPercentage = 0
    /// How much work each frame is, 0 … 10.
    package private(set) var complexity: Int

    /// - Parameter settings: values out of range are held within.
    package init(_ settings: EncoderSettings = EncoderSettings()) throws(AudioError) {
        var code: Int32 = 0
        guard let encoder = unsafe opus_encoder_create(Int32(Opus.rate), 1, OPUS_APPLICATION_VOIP, &code),
            code == OPUS_OK
        else { throw .library(code: code) }
        unsafe self.encoder = unsafe encoder
        self.settings = settings
        complexity = settings.complexities.upperBound
        set(OPUS_SET_COMPLEXITY_REQUEST, complexity)
        set(OPUS_SET_LSB_DEPTH_REQUEST, 16)
        apply()
    }

    deinit {
        unsafe opus_encoder_destroy(encoder)
    }

    /// What the encoder works at, in bit/s.
    package var bitrate: Int {
        let wanted = max(settings.bitrate, sendsFEC ? Self.minimumBitrateWithLoss : 6000)
        return min(wanted, wishes.bitrate ?? wanted, 128_000)
    }

    /// Whether packets carry copies of the sound before them: not when the peer takes too few bits for both.
    package var sendsFEC: Bool {
        lossPercentage > 0 && wishes.bitrate ?? .max >= Self.minimumBitrateWithLoss
    }

    /// Follows what the peer says that it would like.
    package mutating func follow(_ wishes: Wishes) {
        self.wishes = wishes
        apply()
    }

    /// What the peer's reports say of our packets, 0 … 100. Forward error correction is on exactly while it is above 0,
    /// and the bitrate then high enough for it.
    package mutating func setLoss(percentage: Int) {
        guard percentage != lossPercentage else { return }
        lossPercentage = min(max(percentage, 0), 100)
        apply()
    }

    /// Keeps the complexity to at most `limit`, and to what the settings say.
    package mutating func limitComplexity(to limit: Int) {
        let complexities = settings.complexities
        complexity = min(max(limit, complexities.lowerBound), complexities.upperBound)
        set(OPUS_SET_COMPLEXITY_REQUEST, complexity)
    }

    /// Encodes 960 samples to `packet` from `offset` on; returns the number of bytes, at most `maximumPacket`.
    ///
    /// - Throws: `frameSize`; `noRoom` with fewer than `maximumPacket` bytes behind `offset`; `library`.
    package mutating func encode(
        _ frame: Span<Int16>, into packet: inout MutableSpan<UInt8>, at offset: Int = 0
    ) throws(AudioError) -> Int {
        guard frame.count == Opus.frameSize else { throw .frameSize(count: frame.count) }
        guard offset >= 0, packet.count >= offset &+ Self.maximumPacket else {
            throw .noRoom(needed: Self.maximumPacket, room: packet.count &- offset)
        }
        let result = unsafe packet.withUnsafeMutableBufferPointer { output in
            unsafe frame.withUnsafeBufferPointer { input in
                guard let samples = input.baseAddress, let bytes = output.baseAddress else {
                    return OPUS_BAD_ARG
                }
                return unsafe opus_encode(
                    encoder, samples, Int32(Opus.frameSize), bytes + offset, Int32(Self.maximumPacket))
            }
        }
        guard result >= 0 else { throw .library(code: result) }
        return Int(result)
    }

    /// Forgets the stream so far; settings stay.
    package mutating func reset() {
        unsafe shim_opus_encoder_reset(encoder)
    }

    private func apply() {
        set(OPUS_SET_VBR_REQUEST, wishes.constantBitrate ? 0 : 1)
        set(OPUS_SET_VBR_CONSTRAINT_REQUEST, 1)
        set(OPUS_SET_DTX_REQUEST, wishes.useDTX ? 1 : 0)
        set(OPUS_SET_MAX_BANDWIDTH_REQUEST, bandwidth)
        set(OPUS_SET_BITRATE_REQUEST, bitrate)
        set(OPUS_SET_PACKET_LOSS_PERC_REQUEST, lossPercentage)
        set(OPUS_SET_INBAND_FEC_REQUEST, sendsFEC ? 1 : 0)
    }

    private var bandwidth: Int {
        let heard = wishes.playbackRate.map { EncoderSettings.Bandwidth(holding: $0) } ?? .full
        let code =
            switch min(settings.bandwidth, heard) {
            case .narrow: OPUS_BANDWIDTH_NARROWBAND
            case .medium: OPUS_BANDWIDTH_MEDIUMBAND
            case .wide: OPUS_BANDWIDTH_WIDEBAND
            case .superwide: OPUS_BANDWIDTH_SUPERWIDEBAND
            case .full: OPUS_BANDWIDTH_FULLBAND
            }
        return Int(code)
    }

    /// Every value set here is in libopus's documented range, so none is refused.
    private func set(_ request: Int32, _ value: Int) {
        unsafe shim_opus_encoder_set(encoder, request, Int32(truncatingIfNeeded: value))
    }
}
