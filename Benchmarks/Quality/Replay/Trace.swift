import Foundation

/// One RTP packet on its way, in a file of such records without padding, little-endian:
///
/// ```
/// arrival u64 ns | sent u64 ns | sequence number u16 | timestamp u32 | payload length u16 | payload
/// ```
struct TraceRecord {
    var arrival: UInt64
    /// When its sound was all spoken.
    var sent: UInt64
    var sequenceNumber: UInt16
    var timestamp: UInt32
    var payload: [UInt8]

    static func read(_ path: String) throws -> [TraceRecord] {
        var reader = ByteReader(bytes: [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))))
        var records: [TraceRecord] = []
        while !reader.isAtEnd {
            records.append(
                TraceRecord(
                    arrival: try reader.integer(), sent: try reader.integer(), sequenceNumber: try reader.integer(),
                    timestamp: try reader.integer(), payload: try reader.bytes(Int(try reader.integer() as UInt16))))
        }
        return records
    }

    func append(to bytes: inout [UInt8]) {
        bytes.append(integer: arrival)
        bytes.append(integer: sent)
        bytes.append(integer: sequenceNumber)
        bytes.append(integer: timestamp)
        bytes.append(integer: UInt16(payload.count))
        bytes.append(contentsOf: payload)
    }
}

struct ByteReader {
    struct Truncated: Error {}

    let bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func integer<Value: FixedWidthInteger>() throws -> Value {
        try bytes(Value.bitWidth / 8).reversed().reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
    }

    mutating func bytes(_ count: Int) throws -> [UInt8] {
        guard bytes.count - position >= count else { throw Truncated() }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }
}

extension [UInt8] {
    mutating func append<Value: FixedWidthInteger>(integer value: Value) {
        for shift in stride(from: 0, to: Value.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    func write(to path: String) throws {
        try Data(self).write(to: URL(fileURLWithPath: path))
    }
}
