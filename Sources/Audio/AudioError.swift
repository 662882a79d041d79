/// What a codec or a resampler refused.
package enum AudioError: Error, Equatable, Sendable {
    /// A payload of `count` bytes that holds no Opus packet of at most 120 ms (RFC 6716 §3.4).
    case malformed(count: Int)
    /// `needed` samples or bytes do not fit in the `room` given.
    case noRoom(needed: Int, room: Int)
    /// A frame of `count` samples where the encoder takes 960, or a gap that is no multiple of 2.5 ms up to 120 ms.
    case frameSize(count: Int)
    /// A sampling rate other than 8, 16, 24 or 48 kHz.
    case rate(Int)
    /// libopus's or speexdsp's own error code.
    case library(code: Int32)
}

extension AudioError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .malformed(let count): "Opus: \(count) bytes hold no packet of at most 120 ms (RFC 6716 §3.4)"
        case .noRoom(let needed, let room): "audio: \(needed) do not fit in \(room)"
        case .frameSize(let count): "Opus: no frame has \(count) samples at 48 kHz (RFC 6716 §2.1.4)"
        case .rate(let rate): "audio: sampling rate \(rate), not 8000, 16000, 24000 or 48000"
        case .library(let code): "audio: library error \(code)"
        }
    }
}
