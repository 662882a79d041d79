internal import COpus

/// One stream's Opus decoder: mono, 48 kHz, whatever the packets hold (RFC 6716).
@safe package struct OpusDecoder: ~Copyable {
    private let decoder: OpaquePointer

    package init() throws(AudioError) {
        var code: Int32 = 0
        guard let decoder = unsafe opus_decoder_create(Int32(Opus.rate), 1, &code), code == OPUS_OK else {
            throw .library(code: code)
        }
        unsafe self.decoder = unsafe decoder
    }

    deinit {
        unsafe opus_decoder_destroy(decoder)
    }

    /// Decodes a packet to the front of `samples`; returns how many samples, `Opus.duration(of:)`.
    ///
    /// - Throws: `malformed` or `library` for what is no packet: conceal it. `noRoom` below its duration.
    package mutating func decode(
        _ packet: Span<UInt8>, into samples: inout MutableSpan<Int16>
    ) throws(AudioError) -> Int {
        guard let duration = Opus.duration(of: packet) else { throw .malformed(count: packet.count) }
        return try run(packet, duration, &samples, forwardErrorCorrection: false)
    }

    /// Decodes the copy of the frame before `next` that `next` may carry for the case of loss (RFC 6716 §2.1.7), the
    /// last `count` samples of the gap; libopus conceals where there is none. Decode `next` itself afterwards.
    package mutating func recover(
        from next: Span<UInt8>, count: Int, into samples: inout MutableSpan<Int16>
    ) throws(AudioError) -> Int {
        guard Opus.duration(of: next) != nil else { throw .malformed(count: next.count) }
        try Self.check(gap: count)
        return try run(next, count, &samples, forwardErrorCorrection: true)
    }

    /// Makes up `count` samples for a packet that did not arrive: a multiple of 2.5 ms, at most 120 ms.
    package mutating func conceal(count: Int, into samples: inout MutableSpan<Int16>) throws(AudioError) -> Int {
        try Self.check(gap: count)
        return try run(nil, count, &samples, forwardErrorCorrection: false)
    }

    /// Forgets the stream so far, for another one.
    package mutating func reset() {
        unsafe shim_opus_decoder_reset(decoder)
    }

    private static func check(gap count: Int) throws(AudioError) {
        guard count > 0, count <= Opus.maximumSamples, count.isMultiple(of: 120) else {
            throw .frameSize(count: count)
        }
    }

    private func run(
        _ packet: Span<UInt8>?, _ count: Int, _ samples: inout MutableSpan<Int16>, forwardErrorCorrection: Bool
    ) throws(AudioError) -> Int {
        guard samples.count >= count else { throw .noRoom(needed: count, room: samples.count) }
        let result = unsafe samples.withUnsafeMutableBufferPointer { output in
            guard let samples = output.baseAddress else { return OPUS_BAD_ARG }
            guard let packet else { return unsafe opus_decode(decoder, nil, 0, samples, Int32(count), 0) }
            return unsafe packet.withUnsafeBufferPointer { input in
                unsafe opus_decode(
                    decoder, input.baseAddress, Int32(input.count), samples, Int32(count),
                    forwardErrorCorrection ? 1 : 0)
            }
        }
        guard result != OPUS_INVALID_PACKET else { throw .malformed(count: packet?.count ?? 0) }
        guard result >= 0 else { throw .library(code: result) }
        return Int(result)
    }
}
