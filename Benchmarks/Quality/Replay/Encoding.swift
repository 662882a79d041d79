import Audio
import Foundation

/// Speech to packets, as the gateway's sender makes them; each arrives at once.
struct Encoding {
    private let input: String
    private let output: String
    private let lossPercentage: Int
    private let bitrate: Int
    private let complexity: Int
    private let useDTX: Bool

    init(_ arguments: inout Arguments) throws {
        lossPercentage = try arguments.number("--loss-percent", default: 0)
        bitrate = try arguments.number("--bitrate", default: 32_000)
        complexity = try arguments.number("--complexity", default: 5)
        useDTX = arguments.flag("--dtx")
        input = try arguments.file()
        output = try arguments.file()
        try arguments.finish()
    }

    func run() throws {
        var encoder = try OpusEncoder(EncoderSettings(complexity: complexity, bitrate: bitrate))
        encoder.setLoss(percentage: lossPercentage)
        var wishes = OpusEncoder.Wishes()
        wishes.useDTX = useDTX
        encoder.follow(wishes)
        var reader = ByteReader(bytes: [UInt8](try Data(contentsOf: URL(fileURLWithPath: input))))
        var trace: [UInt8] = []
        var packet = [UInt8](repeating: 0, count: OpusEncoder.maximumPacket)
        var number: UInt64 = 0
        // Numbers that wrap on the way, as they do in calls.
        var sequenceNumber: UInt16 = 65_000
        while let frame = try? (0..<960).map({ _ in try reader.integer() as Int16 }) {
            var room = packet.mutableSpan
            let length = try encoder.encode(frame.span, into: &room)
            number += 1
            // Not sent, but its time passes.
            if useDTX, length <= OpusEncoder.unsentPacket { continue }
            sequenceNumber &+= 1
            let sent = number * 20_000_000
            TraceRecord(
                arrival: sent, sent: sent, sequenceNumber: sequenceNumber,
                timestamp: 4_294_000_000 &+ UInt32(truncatingIfNeeded: number * 960),
                payload: Array(packet[..<length])
            ).append(to: &trace)
        }
        try trace.write(to: output)
    }
}
