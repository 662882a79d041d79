/// Why bytes are no reply, or none that is taken. The connection they came on is of no use any more.
package enum RESPError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A reply begins with a byte that announces nothing; nil for an empty line.
    case unknownType(UInt8?)
    /// A line that does not end with CR LF, or has one of them inside.
    case badLine
    case badNumber
    /// More bytes than announced, or fewer.
    case badLength
    /// In bytes.
    case tooLong(limit: Int)
    case tooManyElements(limit: Int)
    case tooDeep(limit: Int)

    package var description: String {
        switch self {
        case .unknownType(let byte?): "what it says is not the Redis protocol: a reply begins with byte \(byte)"
        case .unknownType(nil): "what it says is not the Redis protocol: a reply is empty"
        case .badLine: "what it says is not the Redis protocol: a line does not end with CR LF"
        case .badNumber: "what it says is not the Redis protocol: a number is none"
        case .badLength: "what it says is not the Redis protocol: a text is not as long as announced"
        case .tooLong(let limit): "a reply is longer than \(limit) bytes"
        case .tooManyElements(let limit): "a reply has more than \(limit) elements"
        case .tooDeep(let limit): "a reply nests deeper than \(limit)"
        }
    }
}
