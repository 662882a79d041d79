/// A frame of Pipecat's WebSocket transport, in the protocol buffers' wire format: the few messages of its
/// `frames.proto`, by hand, since five of them do not pay for a code generator.
enum PipecatFrame: Sendable, Hashable {
    case text(String)
    /// 16-bit little-endian samples, channels interleaved.
    case audio([UInt8], rate: Int, channels: Int)
    case transcription(text: String, userID: String, timestamp: String)
    /// JSON text.
    case message(String)
    case interruption
    /// What a newer Pipecat may have.
    case unknown

    /// nil when the bytes are no such message.
    init?(_ bytes: [UInt8]) {
        var reader = ProtobufReader(bytes[...])
        var frame = PipecatFrame.unknown
        while !reader.isAtEnd {
            guard let (number, value) = reader.field() else { return nil }
            guard case .bytes(let content) = value, (1...5).contains(number) else { continue }
            // Of a oneof the last counts.
            guard let fields = PipecatFields(content) else { return nil }
            switch number {
            case 1: frame = .text(fields.text(3))
            case 2:
                let rate = fields.integers[4] ?? 0
                let channels = fields.integers[5] ?? 1
                guard let rate = Int(exactly: rate), let channels = Int(exactly: channels) else { return nil }
                frame = .audio(fields.bytes[3].map { Array($0) } ?? [], rate: rate, channels: channels)
            case 3: frame = .transcription(text: fields.text(3), userID: fields.text(4), timestamp: fields.text(5))
            case 4: frame = .message(fields.text(1))
            default: frame = .interruption
            }
        }
        self = frame
    }

    /// Without the number and name that a frame may have: Pipecat then gives it its own.
    var bytes: [UInt8] {
        var content = ProtobufWriter()
        let number: UInt64
        switch self {
        case .text(let text):
            number = 1
            content.bytes(3, text.utf8)
        case .audio(let samples, let rate, let channels):
            number = 2
            content.reserve(samples.count + 64)
            content.bytes(3, samples)
            content.integer(4, UInt64(clamping: rate))
            content.integer(5, UInt64(clamping: channels))
        case .transcription(let text, let userID, let timestamp):
            number = 3
            content.bytes(3, text.utf8)
            content.bytes(4, userID.utf8)
            content.bytes(5, timestamp.utf8)
        case .message(let json):
            number = 4
            content.bytes(1, json.utf8)
        case .interruption: number = 5
        case .unknown: return []
        }
        var frame = ProtobufWriter()
        frame.reserve(content.written.count + 8)
        frame.bytes(number, content.written)
        return frame.written
    }
}

/// The fields of one message by number; of several with one number the last counts.
private struct PipecatFields {
    var integers: [UInt64: UInt64] = [:]
    var bytes: [UInt64: ArraySlice<UInt8>] = [:]

    init?(_ content: ArraySlice<UInt8>) {
        var reader = ProtobufReader(content)
        while !reader.isAtEnd {
            guard let (number, value) = reader.field() else { return nil }
            switch value {
            case .integer(let value): integers[number] = value
            case .bytes(let value): bytes[number] = value
            case .other: break
            }
        }
    }

    func text(_ number: UInt64) -> String {
        bytes[number].map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}

/// Reads fields: <https://protobuf.dev/programming-guides/encoding/>.
private struct ProtobufReader {
    enum Value {
        case integer(UInt64)
        case bytes(ArraySlice<UInt8>)
        /// Of a fixed length.
        case other
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func field() -> (number: UInt64, Value)? {
        guard let tag = varint(), tag >> 3 > 0 else { return nil }
        switch tag & 7 {
        case 0: return varint().map { (tag >> 3, .integer($0)) }
        case 1: return take(8).map { _ in (tag >> 3, .other) }
        case 2:
            guard let length = varint(), let count = Int(exactly: length), let content = take(count) else { return nil }
            return (tag >> 3, .bytes(content))
        case 5: return take(4).map { _ in (tag >> 3, .other) }
        default: return nil
        }
    }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count <= rest.count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}

private struct ProtobufWriter {
    private(set) var written: [UInt8] = []

    mutating func reserve(_ count: Int) {
        written.reserveCapacity(count)
    }

    mutating func integer(_ number: UInt64, _ value: UInt64) {
        if value == 0 { return }
        varint(number << 3)
        varint(value)
    }

    mutating func bytes(_ number: UInt64, _ content: some Collection<UInt8>) {
        varint(number << 3 | 2)
        varint(UInt64(content.count))
        written += content
    }

    private mutating func varint(_ value: UInt64) {
        var value = value
        while value > 0x7f {
            written.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        written.append(UInt8(truncatingIfNeeded: value))
    }
}
