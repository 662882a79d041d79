internal import NIOHTTP1
internal import PatchbayPlugin

/// One HTTP request, complete. It may hold secrets (query, path, headers): it is never logged as a whole.
package struct Request: Sendable {
    /// As sent, for example `GET`.
    package var method: String
    /// The target's path before percent decoding, with its leading slash.
    package var rawPath: String
    /// The path's segments, percent-decoded, empty ones left out: `/t/a%20b/` is `["t", "a b"]`.
    package var path: [String]
    /// The query's fields, decoded; of two with one name the last counts.
    package var query: [String: String]
    /// Fields by lower-cased name; several of one name are joined with `, ` (RFC 9110 §5.3).
    package var headers: [String: String]
    /// The peer's IP address; an IPv4-mapped IPv6 address is given as IPv4.
    package var remoteAddress: String
    /// The `Host` field, or the host of a target that names one (RFC 9112 §3.2.2), lower-cased, with the port when it has one.
    package var host: String
    package var body: [UInt8]

    package init(
        method: String, rawPath: String, path: [String], query: [String: String] = [:], headers: [String: String] = [:],
        remoteAddress: String = "", host: String = "", body: [UInt8] = []
    ) {
        self.method = method
        self.rawPath = rawPath
        self.path = path
        self.query = query
        self.headers = headers
        self.remoteAddress = remoteAddress
        self.host = host
        self.body = body
    }
}

extension Request {
    /// Nil when the target or the `Host` field is not what RFC 9112 §3.2 allows, and for text anywhere that no script has and
    /// that takes long to compare: the answer is 400.
    init?(head: HTTPRequestHead, body: [UInt8], remoteAddress: String) {
        let hosts = head.headers["host"]
        guard hosts.count == 1 || (hosts.isEmpty && head.version == .http1_0) else { return nil }
        guard head.uri.isStreamSafe, head.headers.allSatisfy({ $0.value.isStreamSafe }) else { return nil }
        let (authority, rawPath, rawQuery) = Self.split(target: head.uri)
        guard authority?.isEmpty != true, authority?.contains("@") != true else { return nil }
        guard rawPath.hasPrefix("/") else { return nil }
        var path: [String] = []
        for segment in rawPath.split(separator: "/") {
            guard let decoded = Self.decode(segment) else { return nil }
            path.append(decoded)
        }
        var query: [String: String] = [:]
        for field in rawQuery.split(separator: "&") {
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decode(parts[0], plusIsSpace: true),
                let value = Self.decode(parts.count > 1 ? parts[1] : "", plusIsSpace: true)
            else { return nil }
            query[name] = value
        }
        var headers: [String: String] = [:]
        for (name, value) in head.headers {
            let name = name.lowercased()
            headers[name] = headers[name].map { "\($0), \(value)" } ?? value
        }
        let host = authority.map(String.init) ?? hosts.first ?? ""
        self.init(
            method: head.method.rawValue, rawPath: rawPath, path: path, query: query, headers: headers,
            remoteAddress: remoteAddress, host: host.lowercased(), body: body)
    }

    /// Path and query of a target in origin form or absolute form (RFC 9112 §3.2.1, §3.2.2), and the host that the latter has.
    private static func split(target: String) -> (authority: Substring?, path: String, query: Substring) {
        var rest = target[...]
        var authority: Substring?
        for scheme in ["http://", "https://", "ws://", "wss://"] where rest.lowercased().hasPrefix(scheme) {
            rest = rest.dropFirst(scheme.count)
            authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            rest = rest[rest.index(rest.startIndex, offsetBy: authority?.count ?? 0)...]
            if !rest.hasPrefix("/") { rest = "/" + rest }
            break
        }
        rest = rest.prefix { $0 != "#" }
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        return (authority, String(parts[0]), parts.count > 1 ? parts[1] : "")
    }

    /// Nil for a broken escape, and for what is not UTF-8 or not stream-safe when decoded, or has control characters.
    private static func decode(_ text: Substring, plusIsSpace: Bool = false) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8.makeIterator()
        while let byte = rest.next() {
            switch Unicode.Scalar(byte) {
            case "%":
                guard let high = rest.next().flatMap(hexDigit), let low = rest.next().flatMap(hexDigit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            case "+" where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        return String(validating: bytes, as: UTF8.self).flatMap { $0.isStreamSafe ? $0 : nil }
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        Character(Unicode.Scalar(byte)).hexDigitValue.map(UInt8.init)
    }
}
