internal import OutboundHTTP
internal import PatchbayPlugin

/// What the endpoint says.
enum Answer: Sendable {
    /// 204: a credential that it does not know the kind of.
    case pass
    /// 200
    case accept(Principal)
    /// 401 or 403, with words of its own perhaps, the message as it came.
    case reject(code: String?, message: String?)

    init(_ reply: HTTPReply) throws(AnswerFault) {
        switch reply.status {
        case 200: self = .accept(try Self.principal(reply.body))
        case 204: self = .pass
        case 401, 403:
            let words = try? JSONValue(parsing: reply.body)
            self = .reject(
                code: words?["code"]?.string.flatMap(Self.code),
                message: words?["message"]?.string)
        default: throw .status(reply.status)
        }
    }

    private static func principal(_ body: [UInt8]) throws(AnswerFault) -> Principal {
        let json: JSONValue
        do throws(JSONError) {
            json = try JSONValue(parsing: body)
        } catch {
            throw .noJSON(error)
        }
        func member<Value>(_ name: String, _ read: (JSONValue) -> Value?) throws(AnswerFault) -> Value? {
            guard let value = json[name], value != .null else { return nil }
            guard let value = read(value) else { throw .member(name) }
            return value
        }
        guard let user = try member("user", identifier) else { throw .member("user") }
        return Principal(
            id: user, organization: try member("organization", identifier),
            workflowID: try member("workflow_id", \.integer),
            contextVariables: try member("context_variables", \.object) ?? [:],
            isVisitor: try member("visitor") { if case .bool(let value) = $0 { value } else { nil } } ?? false,
            expires: try member("expires", time))
    }

    /// Text, or a whole number.
    private static func identifier(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text.isEmpty ? nil : text
        case .integer(let number): String(number)
        case .null, .bool, .number, .array, .object: nil
        }
    }

    /// A time as RFC 3339 has it, or seconds since 1970-01-01 UTC.
    private static func time(_ value: JSONValue) -> Duration? {
        switch value {
        case .string(let text): Timestamp.decode(text)?.sinceEpoch
        // Within what a Duration can hold.
        case .integer(let seconds): .seconds(max(0, min(seconds, 1_000_000_000_000)))
        case .number(let seconds): .seconds(max(0, min(seconds, 1e12)))
        case .null, .bool, .array, .object: nil
        }
    }

    /// A word for programs: it is counted by.
    private static func code(_ text: String) -> String? {
        let isWord = text.utf8.allSatisfy { byte in
            switch Unicode.Scalar(byte) {
            case "a"..."z", "0"..."9", "_": true
            default: false
            }
        }
        return isWord && (1...64).contains(text.utf8.count) ? text : nil
    }

    /// One line, not too long.
    static func sentence(_ text: String) -> String? {
        let line = text.unicodeScalars.prefix(200).map { $0.properties.generalCategory == .control ? " " : $0 }
        return line.isEmpty ? nil : String(String.UnicodeScalarView(line))
    }
}

/// Why an answer is none.
enum AnswerFault: Error, Equatable, CustomStringConvertible {
    case noReply(String)
    case status(Int)
    case noJSON(JSONError)
    case member(String)

    /// The end of a sentence that begins with the endpoint.
    var description: String {
        switch self {
        case .noReply(let reason): "did not answer: \(reason)"
        case .status(let status): "answered \(status), where 200, 204, 401 and 403 have a meaning"
        case .noJSON(let error): "let somebody in, but did not say whom: \(error)"
        case .member(let name): "let somebody in, but '\(name)' is missing, or is not what it should be"
        }
    }
}
