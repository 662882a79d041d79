/// Where a Redis is: `redis://host[:port][/database]`, or `rediss:` with TLS.
package struct RedisURL: Sendable, Hashable {
    package var host: String
    /// 6379 unless it is written.
    package var port: Int
    /// What SELECT is asked for; 0 unless it is written.
    package var database: Int
    package var isSecure: Bool

    /// Nil where the text is no such address. A user and a password do not belong there.
    package init?(_ text: String) {
        guard let scheme = ["redis://", "rediss://"].first(where: text.hasPrefix),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "@") })
        else { return nil }
        isSecure = scheme == "rediss://"
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        let path = rest[authority.endIndex...].dropFirst()
        var host = authority
        port = 6379
        if let colon = authority.lastIndex(of: ":"), authority[colon...].allSatisfy({ $0 != "]" }) {
            guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else { return nil }
            port = Int(number)
            host = authority[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, host.allSatisfy({ !"[]?#".contains($0) }) else { return nil }
        guard let database = path.isEmpty ? 0 : UInt16(path) else { return nil }
        self.host = String(host)
        self.database = Int(database)
    }

    /// For people: host and port.
    package var server: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
