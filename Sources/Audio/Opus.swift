internal import Wire

/// What is read off an Opus packet without decoding it (RFC 6716 §3.1), and the rates used here.
package enum Opus {
    /// Samples a second of Opus's RTP clock, and of the PCM here (RFC 7587 §4.1).
    package static let rate = 48_000
    /// Samples in the 20 ms frame that is sent.
    package static let frameSize = 960
    /// Samples in 120 ms, the longest packet there is (RFC 6716 §3.4, R5).
    package static let maximumSamples = 5760

    /// How many samples at 48 kHz a packet decodes to; nil when it is no packet, or one over 120 ms.
    ///
    /// ```
    ///  0 1 2 3 4 5 6 7
    /// +-+-+-+-+-+-+-+-+
    /// | config  |s| c |   c: one frame, two, two, or a count in the second byte
    /// +-+-+-+-+-+-+-+-+
    /// ```
    package static func duration(of packet: Span<UInt8>) -> Int? {
        guard let contents = packet.byte(at: 0) else { return nil }
        let config = Int(contents >> 3)
        let frame: Int =
            switch config {
            case ..<12: [480, 960, 1920, 2880][config & 3]  // SILK
            case 12..<16: config & 1 == 0 ? 480 : 960  // hybrid
            default: 120 << (config & 3)  // CELT
            }
        let count: Int
        switch contents & 3 {
        case 0: count = 1
        case 3:
            guard let second = packet.byte(at: 1), second & 63 > 0 else { return nil }
            count = Int(second & 63)
        default: count = 2
        }
        return frame * count <= maximumSamples ? frame * count : nil
    }

    /// Whether a packet carries a copy of the sound before it, at a lower bitrate (LBRR, RFC 6716 §4.2.4).
    ///
    /// Read only where the first frame follows the first byte at once: packets of up to two equal frames.
    package static func carriesCopy(_ packet: Span<UInt8>) -> Bool {
        guard let contents = packet.byte(at: 0), let first = packet.byte(at: 1), contents & 2 == 0 else { return false }
        let config = Int(contents >> 3)
        guard config < 16 else { return false }  // CELT has no such thing.
        let voiceFlags = config < 12 ? max(config & 3, 1) : 1
        let isMarked = first >> UInt8(7 - voiceFlags) & 1 == 1
        guard contents & 4 != 0 else { return isMarked }
        return isMarked || first >> UInt8(6 - 2 * voiceFlags) & 1 == 1
    }
}
