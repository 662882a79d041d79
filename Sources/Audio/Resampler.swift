internal import CSpeexDSP

/// Changes the sampling rate of mono PCM between 8, 16, 24 and 48 kHz, chunk by chunk.
///
/// Every chunk of whole 20 ms gives exactly 20 ms at once, from the first on; the signal in it is late by `delay`. The
/// filter's start is not skipped: the first chunk would come out short, and every frame after it wait for the next.
@safe package struct Resampler: ~Copyable {
    package let inputRate: Int
    package let outputRate: Int
    /// How late the signal comes out, in samples at the output rate: 5 ms where 8 kHz is involved, 2.5 ms or less
    /// elsewhere, 0 for equal rates.
    package let delay: Int
    /// Nil for equal rates.
    private let state: OpaquePointer?

    /// Half of speexdsp's range: 6.5 µs for 20 ms of 48 kHz.
    private static let quality: Int32 = 5

    package init(from inputRate: Int, to outputRate: Int) throws(AudioError) {
        for rate in [inputRate, outputRate] where ![8000, 16_000, 24_000, 48_000].contains(rate) { throw .rate(rate) }
        var code: Int32 = 0
        let state =
            unsafe inputRate == outputRate
            ? nil : speex_resampler_init(1, UInt32(inputRate), UInt32(outputRate), Self.quality, &code)
        guard code == 0 else { throw .library(code: code) }
        self.inputRate = inputRate
        self.outputRate = outputRate
        delay = unsafe state.map { unsafe Int(speex_resampler_get_output_latency($0)) } ?? 0
        unsafe self.state = unsafe state
    }

    deinit {
        if let state = unsafe state { unsafe speex_resampler_destroy(state) }
    }

    /// Resamples `input` to the front of `output`; returns how many samples came out.
    ///
    /// - Throws: `noRoom` when `output` is shorter than what `input` becomes, rounded up.
    package mutating func process(
        _ input: Span<Int16>, into output: inout MutableSpan<Int16>
    ) throws(AudioError) -> Int {
        let needed = (input.count * outputRate + inputRate - 1) / inputRate
        guard output.count >= needed else { throw .noRoom(needed: needed, room: output.count) }
        guard let state = unsafe state else {
            for index in input.indices { output[index] = input[index] }
            return input.count
        }
        var (read, written) = (UInt32(input.count), UInt32(output.count))
        let code = unsafe output.withUnsafeMutableBufferPointer { output in
            unsafe input.withUnsafeBufferPointer { input in
                unsafe speex_resampler_process_int(state, 0, input.baseAddress, &read, output.baseAddress, &written)
            }
        }
        guard code == 0 else { throw .library(code: code) }
        return Int(written)
    }

    /// Forgets the signal so far, for another one.
    package mutating func reset() {
        if let state = unsafe state { unsafe speex_resampler_reset_mem(state) }
    }
}
