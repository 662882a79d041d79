/// One command: its name and what follows it.
package struct RedisCommand: Sendable {
    /// A word of a command.
    package enum Argument: Sendable, Hashable, ExpressibleByStringLiteral {
        case text(String)
        case bytes([UInt8])
        case integer(Int)

        package init(stringLiteral text: String) { self = .text(text) }

        fileprivate func append(to bytes: inout [UInt8]) {
            switch self {
            case .text(let text): Self.append(text.utf8, to: &bytes)
            case .bytes(let value): Self.append(value, to: &bytes)
            case .integer(let number): Self.append(String(number).utf8, to: &bytes)
            }
        }

        private static func append(_ value: some Collection<UInt8>, to bytes: inout [UInt8]) {
            bytes += Array("$\(value.count)\r\n".utf8)
            bytes += value
            bytes += [UInt8(ascii: "\r"), UInt8(ascii: "\n")]
        }
    }

    let arguments: [Argument]
    /// Whether it may be sent once more where the connection was lost and nobody knows whether it was carried out.
    let isIdempotent: Bool

    package init(_ arguments: Argument..., isIdempotent: Bool = false) {
        self.init(arguments, isIdempotent: isIdempotent)
    }

    package init(_ arguments: [Argument], isIdempotent: Bool = false) {
        self.arguments = arguments
        self.isIdempotent = isIdempotent
    }

    /// As it is sent: an array of texts.
    package var encoded: [UInt8] {
        var bytes = Array("*\(arguments.count)\r\n".utf8)
        for argument in arguments { argument.append(to: &bytes) }
        return bytes
    }
}
