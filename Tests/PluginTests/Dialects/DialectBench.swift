import Foundation
import PatchbayPlugin

@testable import WebSocketPipeline

extension CallFacts {
    static let test = CallFacts(
        callID: "0a1b2c3d-4e5f-6789-abcd-ef0123456789", tenant: "acme", userID: "7", workflowID: 33,
        workflowRunID: 501, variables: ["name": "Ada", "age": 36])
}

extension Message {
    /// The JSON of a text message, or of the message in a frame of Pipecat's.
    var json: JSONValue? {
        switch self {
        case .text(let text): try? JSONValue(parsing: text)
        case .binary(let bytes):
            if case .message(let text)? = PipecatFrame(bytes) { try? JSONValue(parsing: text) } else { nil }
        }
    }
}

extension Dialect {
    /// What is done about a text message.
    mutating func received(_ text: String) throws -> [Action] {
        try received(.text(text))
    }
}

extension [Action] {
    var sent: [JSONValue] {
        compactMap { if case .send(let message) = $0 { message.json } else { nil } }
    }

    var reported: [CallEvent] {
        compactMap { if case .report(let event) = $0 { event } else { nil } }
    }
}

/// A frame of 20 ms, the n-th.
func frame(_ number: Int, rate: Int, value: Int16 = 0) -> PCMFrame {
    PCMFrame(
        [Int16](repeating: value, count: rate / 50), sampleRate: rate, timestamp: .milliseconds(20 * number))
}

func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

/// How much a codec holds on to: the elements of all its collections, and the bytes of its texts.
func held(by value: Any) -> Int {
    if let text = value as? String { return text.utf8.count }
    let mirror = Mirror(reflecting: value)
    let isCollection = [.collection, .dictionary, .set].contains(mirror.displayStyle)
    return mirror.children.reduce(isCollection ? mirror.children.count : 0) { $0 + held(by: $1.value) }
}

/// Messages of a bot, damaged one byte at a time, and shortened: none may trap.
///
/// - Returns: how many were refused.
func damage(_ messages: [[UInt8]], rounds: Int, _ receive: ([UInt8]) throws -> Void) -> Int {
    var generator = Seeded(state: 1)
    var refused = 0
    for message in messages {
        for _ in 0..<rounds {
            var damaged = message
            switch UInt64.random(in: 0..<4, using: &generator) {
            case 0: damaged.removeLast(Int.random(in: 0...damaged.count, using: &generator))
            case 1: damaged += damaged.prefix(Int.random(in: 0...damaged.count, using: &generator))
            default:
                for _ in 0..<Int.random(in: 1...4, using: &generator) where !damaged.isEmpty {
                    damaged[Int.random(in: damaged.indices, using: &generator)] = .random(
                        in: 0...255, using: &generator)
                }
            }
            do {
                try receive(damaged)
            } catch {
                refused += 1
            }
        }
    }
    return refused
}

private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
