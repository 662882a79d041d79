internal import Crypto

/// A program in Lua that the server runs in one step.
package struct RedisScript: Sendable {
    let source: String
    /// What the server knows it by once it has seen it: SHA-1, in hexadecimal digits.
    let digest: String

    package init(_ source: String) {
        self.source = source
        digest = Insecure.SHA1.hash(data: Array(source.utf8)).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }
}

extension RedisClient {
    /// Runs a script: by its digest, and by its text where the server has not seen it yet or has forgotten it.
    ///
    /// - Parameters:
    ///   - keys: what it finds as `KEYS`.
    ///   - arguments: what it finds as `ARGV`.
    ///   - isIdempotent: whether it may run once more where the connection was lost.
    /// - Throws: as ``send(_:)`` does; all of it has the time of one command.
    package func run(
        _ script: RedisScript, keys: [String], _ arguments: [RedisCommand.Argument], isIdempotent: Bool = false
    ) async throws -> RESPValue {
        let rest = [.integer(keys.count)] + keys.map { .text($0) } + arguments
        func command(_ name: RedisCommand.Argument, _ script: String) -> RedisCommand {
            RedisCommand([name, .text(script)] + rest, isIdempotent: isIdempotent)
        }
        return try await inTime { deadline in
            do {
                return try await send(command("EVALSHA", script.digest), until: deadline)
            } catch let error as RedisError where error.code == "NOSCRIPT" {
                // It was not run: to send it again is safe, whatever it does.
                return try await send(command("EVAL", script.source), until: deadline)
            }
        }
    }
}
