public import PatchbayPlugin
internal import Redis

/// The address of a Redis: `redis://host[:port][/database]`, or `rediss:` with TLS.
public struct RedisAddress: FieldValue, Hashable {
    let url: RedisURL
    private let text: String

    /// `a redis:// or rediss:// URL`
    public static var noun: String { "a redis:// or rediss:// URL" }

    /// JSON Schema: a URL.
    public static var schema: JSONValue { ["type": "string", "pattern": #"^rediss?://[^@]+$|\$\{"#] }

    /// Reads a URL. One with a password in it is not shown.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> RedisAddress? {
        if case .scalar(let scalar) = node.content, scalar.text.contains("@") {
            reader.fault(
                at: node, "a user name and a password do not belong into the address",
                help: "use `username: NAME` and `password: { env: NAME }` or { file: PATH }")
            return nil
        }
        guard let text = reader.text(of: node, expected: noun) else { return nil }
        guard let url = RedisURL(text) else {
            reader.mismatch(at: node, expected: noun, advice: "write redis://HOST:PORT/DATABASE")
            return nil
        }
        return RedisAddress(url: url, text: text)
    }

    /// As it was written.
    public var written: JSONValue { .string(text) }
}
