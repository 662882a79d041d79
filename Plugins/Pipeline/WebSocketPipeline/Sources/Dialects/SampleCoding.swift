internal import FoundationEssentials

/// Samples as bytes: 16-bit little-endian, and mu-law (ITU-T G.711).
enum SampleCoding {
    /// Two bytes a sample; an odd byte at the end is no sample.
    static func samples(littleEndian bytes: some RandomAccessCollection<UInt8>) -> [Int16] {
        var samples: [Int16] = []
        samples.reserveCapacity(bytes.count / 2)
        var low: UInt8?
        for byte in bytes {
            guard let first = low else {
                low = byte
                continue
            }
            samples.append(Int16(bitPattern: UInt16(first) | UInt16(byte) << 8))
            low = nil
        }
        return samples
    }

    static func littleEndian(_ samples: [Int16]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(samples.count * 2)
        for sample in samples {
            bytes.append(UInt8(truncatingIfNeeded: sample))
            bytes.append(UInt8(truncatingIfNeeded: sample >> 8))
        }
        return bytes
    }

    static func muLaw(_ samples: [Int16]) -> [UInt8] {
        samples.map(muLaw)
    }

    static func samples(muLaw bytes: [UInt8]) -> [Int16] {
        bytes.map { decoded[Int($0)] }
    }

    /// G.711 Table 2a: sign, three bits of exponent, four of mantissa, all inverted.
    private static func muLaw(_ sample: Int16) -> UInt8 {
        let magnitude = min(Int(sample.magnitude), 32_635) + 132
        let exponent = Int.bitWidth - 1 - (magnitude >> 7).leadingZeroBitCount
        let mantissa = magnitude >> (exponent + 3) & 0x0f
        return ~UInt8(truncatingIfNeeded: (sample < 0 ? 0x80 : 0) | exponent << 4 | mantissa)
    }

    private static let decoded: [Int16] = (0...255).map { code in
        let bits = ~code & 0xff
        let magnitude = ((bits & 0x0f) << 3 + 132) << (bits >> 4 & 7) - 132
        return Int16(truncatingIfNeeded: bits & 0x80 == 0 ? magnitude : -magnitude)
    }
}

/// Base64 (RFC 4648 §4).
enum Base64 {
    static func text(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString()
    }

    /// nil when the text is not base64, padded.
    static func bytes(_ text: String) -> [UInt8]? {
        Data(base64Encoded: text).map(Array.init)
    }
}
