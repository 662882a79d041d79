/// The sound of a RIFF WAVE file: 16-bit PCM, stereo mixed down to one channel.
public struct WaveFile: Sendable, Hashable {
    /// First to last.
    public let samples: [Int16]
    /// 8000, 16000, 24000 or 48000 a second.
    public let sampleRate: Int

    /// Makes a sound to write.
    public init(samples: [Int16], sampleRate: Int) {
        self.samples = samples
        self.sampleRate = sampleRate
    }

    /// Reads a file's bytes.
    public init(parsing bytes: [UInt8]) throws(WaveError) {
        guard bytes.count >= 12, bytes.starts(with: "RIFF".utf8), bytes[8...].starts(with: "WAVE".utf8) else {
            throw .notWave
        }
        var format: Format?
        var offset = 12
        while bytes.count - offset >= 8 {
            let name = bytes[offset..<offset + 4]
            let length = Int(bytes.uint32(at: offset + 4))
            let content = offset + 8
            // A program that writes to a pipe cannot know the length: the sound then goes on to the end of the file.
            let end = min(content + length, bytes.count)
            if name.elementsEqual("fmt ".utf8) {
                format = try Format(bytes[content..<end])
            } else if name.elementsEqual("data".utf8) {
                guard let format else { throw .noFormat }
                samples = format.samples(bytes[content..<end])
                sampleRate = format.sampleRate
                return
            }
            offset = content + length + length % 2
        }
        throw .noSound
    }

    /// The file's bytes: 16-bit PCM, one channel.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        let length = UInt32(clamping: samples.count * 2)
        bytes.reserveCapacity(44 + samples.count * 2)
        bytes += "RIFF".utf8
        bytes.appendLittleEndian(length &+ 36)
        bytes += "WAVEfmt ".utf8
        bytes.appendLittleEndian(UInt32(16))
        bytes.appendLittleEndian(UInt16(1))  // PCM
        bytes.appendLittleEndian(UInt16(1))  // one channel
        bytes.appendLittleEndian(UInt32(clamping: sampleRate))
        bytes.appendLittleEndian(UInt32(clamping: sampleRate * 2))
        bytes.appendLittleEndian(UInt16(2))
        bytes.appendLittleEndian(UInt16(16))
        bytes += "data".utf8
        bytes.appendLittleEndian(length)
        for sample in samples { bytes.appendLittleEndian(UInt16(bitPattern: sample)) }
        return bytes
    }
}

extension [UInt8] {
    fileprivate mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}

/// The `fmt ` chunk.
private struct Format {
    let channels: Int
    let sampleRate: Int

    init(_ chunk: ArraySlice<UInt8>) throws(WaveError) {
        let bytes = Array(chunk)
        guard bytes.count >= 16 else { throw .noFormat }
        var encoding = bytes.uint16(at: 0)
        if encoding == 0xfffe, bytes.count >= 26 {
            encoding = bytes.uint16(at: 24)  // WAVE_FORMAT_EXTENSIBLE: the first half word of the sub-format
        }
        let bits = bytes.uint16(at: 14)
        guard encoding == 1, bits == 16 else { throw .encoding(encoding, bits: bits) }
        channels = Int(bytes.uint16(at: 2))
        guard channels == 1 || channels == 2 else { throw .channels(channels) }
        let rate = bytes.uint32(at: 4)
        guard [8_000, 16_000, 24_000, 48_000].contains(rate) else { throw .sampleRate(rate) }
        sampleRate = Int(rate)
    }

    func samples(_ content: ArraySlice<UInt8>) -> [Int16] {
        let width = channels * 2
        return stride(from: content.startIndex, to: content.endIndex - content.count % width, by: width).map { offset in
            let left = Int16(bitPattern: content.uint16(at: offset))
            if channels == 1 { return left }
            let right = Int16(bitPattern: content.uint16(at: offset + 2))
            return Int16((Int(left) + Int(right)) / 2)
        }
    }
}

/// Why a file is not a sound that can be played.
public enum WaveError: Error, Equatable, CustomStringConvertible {
    /// Not RIFF WAVE; no format before the sound; no sound.
    case notWave, noFormat, noSound
    /// Not 16-bit PCM.
    case encoding(UInt16, bits: UInt16)
    /// Not one or two.
    case channels(Int)
    /// Not one that the gateway can resample.
    case sampleRate(UInt32)

    /// What the file is, and what to do about it.
    public var description: String {
        switch self {
        case .notWave: "it is not a RIFF WAVE file"
        case .noFormat: "it has no usable 'fmt ' chunk before its sound"
        case .noSound: "it has no 'data' chunk"
        case .encoding(let encoding, let bits):
            "it has \(bits) bits a sample in encoding \(encoding); convert it to 16-bit PCM"
        case .channels(let count): "it has \(count) channels; convert it to one or two"
        case .sampleRate(let rate): "it has \(rate) samples a second; convert it to 8000, 16000, 24000 or 48000"
        }
    }
}

extension RandomAccessCollection<UInt8> where Index == Int {
    /// Little-endian, from two bytes that are there.
    fileprivate func uint16(at offset: Int) -> UInt16 {
        UInt16(self[offset]) | UInt16(self[offset + 1]) << 8
    }

    /// Little-endian, from four bytes that are there.
    fileprivate func uint32(at offset: Int) -> UInt32 {
        UInt32(uint16(at: offset)) | UInt32(uint16(at: offset + 2)) << 16
    }
}
