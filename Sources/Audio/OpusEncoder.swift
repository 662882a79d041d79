internal import COpus

/// One stream's Opus encoder: 20 ms frames of mono speech, 48 kHz, constrained VBR, no DTX (RFC 6716 §2.1).
@safe package struct OpusEncoder: ~Copyable {
    /// The bitrate without loss, in bit/s.
    package static let defaultBitrate = 32_000
    /// Below this libopus puts no forward error correction in, whatever the loss.
    package static let minimumBitrateWithLoss = 24_000
    /// The longest packet `encode` makes, in bytes: 20 ms at 160 kbit/s.
    package static let maximumPacket = 400

    private let encoder: OpaquePointer
    private var bitrate: Int
    private var lossPercentage = 0

    /// - Parameters:
    ///   - complexity: 0 … 10; 5 costs 0.1 ms a frame, 9 nearly 0.3 ms.
    ///   - bitrate: in bit/s, held within 6000 … 128 000.
    package init(complexity: Int = 5, bitrate: Int = OpusEncoder.defaultBitrate) throws(AudioError) {
        var code: Int32 = 0
        guard let encoder = unsafe opus_encoder_create(Int32(Opus.rate), 1, OPUS_APPLICATION_VOIP, &code),
            code == OPUS_OK
        else { throw .library(code: code) }
        unsafe self.encoder = unsafe encoder
        self.bitrate = Self.clamp(bitrate)
        set(OPUS_SET_COMPLEXITY_REQUEST, min(max(complexity, 0), 10))
        set(OPUS_SET_VBR_REQUEST, 1)
        set(OPUS_SET_VBR_CONSTRAINT_REQUEST, 1)
        set(OPUS_SET_DTX_REQUEST, 0)
        set(OPUS_SET_LSB_DEPTH_REQUEST, 16)
        apply()
    }

    deinit {
        unsafe opus_encoder_destroy(encoder)
    }

    /// What the peer's `maxaveragebitrate` allows, in bit/s (RFC 7587 §6.1); held within 6000 … 128 000.
    package mutating func setBitrate(_ bitrate: Int) {
        self.bitrate = Self.clamp(bitrate)
        apply()
    }

    /// What the peer's reports say of our packets, 0 … 100. Forward error correction is on exactly while it is above 0,
    /// and the bitrate then high enough for it.
    package mutating func setLoss(percentage: Int) {
        lossPercentage = min(max(percentage, 0), 100)
        apply()
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

    private static func clamp(_ bitrate: Int) -> Int { min(max(bitrate, 6000), 128_000) }

    private func apply() {
        set(OPUS_SET_BITRATE_REQUEST, lossPercentage > 0 ? max(bitrate, Self.minimumBitrateWithLoss) : bitrate)
        set(OPUS_SET_PACKET_LOSS_PERC_REQUEST, lossPercentage)
        set(OPUS_SET_INBAND_FEC_REQUEST, lossPercentage > 0 ? 1 : 0)
    }

    /// Every value set here is in libopus's documented range, so none is refused.
    private func set(_ request: Int32, _ value: Int) {
        unsafe shim_opus_encoder_set(encoder, request, Int32(truncatingIfNeeded: value))
    }
}
