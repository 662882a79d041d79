package import PatchbayPlugin
internal import Wire

/// `stun:stun.example.org` (RFC 7064), `turns:turn.example.org:5349?transport=tcp` (RFC 7065)
package struct ICEServerURL: FieldScalar, Hashable {
    /// As it is written.
    package var text: String

    /// Whether the server relays.
    package var isTURN: Bool { text.hasPrefix("turn") }

    package struct Endpoint: Hashable, Sendable {
        /// A name, or an IP address without brackets.
        package var host: String
        package var port: UInt16
    }

    /// How the server is spoken to (RFC 7064 §3.1, RFC 7065 §3.1).
    package enum Transport: Hashable, Sendable {
        case udp, tcp, tls
        /// DTLS, and TLS to a server that only does STUN.
        case other
    }

    package var endpoint: Endpoint {
        let rest = text.drop { $0 != ":" }.dropFirst()
        let isLiteral = rest.hasPrefix("[")
        let host = isLiteral ? rest.dropFirst().prefix { $0 != "]" } : rest.prefix { $0 != ":" && $0 != "?" }
        let port = rest.dropFirst(host.count + (isLiteral ? 2 : 0)).dropFirst().prefix { $0 != "?" }
        return Endpoint(host: String(host), port: UInt16(port) ?? (isSecure ? 5349 : 3478))
    }

    package var transport: Transport {
        switch (isSecure, isTURN) {
        case (false, true): text.hasSuffix("?transport=tcp") ? .tcp : .udp
        case (false, false): .udp
        // What RFC 7065 leaves open is TLS.
        case (true, true): text.hasSuffix("?transport=udp") ? .other : .tls
        case (true, false): .other
        }
    }

    private var isSecure: Bool { text.hasPrefix("turns:") || text.hasPrefix("stuns:") }

    package static let noun = "the URL of a STUN or TURN server"
    package static let schema: JSONValue = ["type": "string", "pattern": #"^(stun|turn)s?:|\$\{"#]
    static let example = "for example stun:stun.example.org:3478 or turn:turn.example.org:3478?transport=udp"
    private static let schemes = ["stun", "stuns", "turn", "turns"]

    package static func read(_ node: SettingsNode, _ reader: SettingsReader) -> ICEServerURL? {
        if case .scalar(let scalar) = node.content, scalar.text.contains("@") {
            // What stands before it may be a password, so the text is not shown.
            let help = "credentials are made with the entry's `secret`; write the URL without them"
            reader.fault(at: node, "the URL of a STUN or TURN server has no user in it", help: help)
            return nil
        }
        guard let text = reader.text(of: node, expected: noun) else { return nil }
        guard let url = decode(text) else {
            reader.mismatch(at: node, expected: noun, advice: advice(for: text))
            return nil
        }
        return url
    }

    package static func decode(_ text: String) -> ICEServerURL? {
        guard let colon = text.firstIndex(of: ":"), schemes.contains(String(text[..<colon])) else { return nil }
        var rest = text[colon...].dropFirst()
        if text.hasPrefix("turn"), let mark = rest.firstIndex(of: "?") {
            guard ["?transport=udp", "?transport=tcp"].contains(rest[mark...]) else { return nil }
            rest = rest[..<mark]
        }
        return isHostAndPort(rest) ? ICEServerURL(text: text) : nil
    }

    /// `host`, `host:port`, `[v6]`, `[v6]:port`
    private static func isHostAndPort(_ text: Substring) -> Bool {
        let (host, port): (Substring, Substring)
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return false }
            (host, port) = (text[..<end].dropFirst(), text[end...].dropFirst())
            guard IPAddress.decode(String(host))?.address.family == .ipv6 else { return false }
        } else {
            let end = text.firstIndex(of: ":") ?? text.endIndex
            (host, port) = (text[..<end], text[end...])
            // Digits and dots are an address or nothing: no name ends in a number (RFC 3696 §2).
            let isName = isHostName(host) && !host.allSatisfy { $0.isNumber || $0 == "." }
            guard isName || IPAddress.decode(String(host)) != nil else { return false }
        }
        guard !port.isEmpty else { return true }
        return port.hasPrefix(":") && Int.decode(String(port.dropFirst())).map { 1...65_535 ~= $0 } ?? false
    }

    package static func advice(for text: String) -> String? {
        let scheme = String(text.prefix { $0 != ":" })
        guard schemes.contains(scheme) else {
            guard schemes.contains(scheme.lowercased()) else { return didYouMean(scheme, schemes) ?? example }
            return "the scheme is written in lower case: \(scheme.lowercased()):"
        }
        let rest = text.dropFirst(scheme.count + 1)
        if rest.hasPrefix("//") { return "without the slashes: \(scheme):\(printable(String(rest.dropFirst(2))))" }
        guard let mark = rest.firstIndex(of: "?") else { return example }
        if scheme.hasPrefix("stun") { return "a \(scheme): URL ends with the port (RFC 7064)" }
        return ["?transport=udp", "?transport=tcp"].contains(rest[mark...])
            ? example : "after the port may stand ?transport=udp or ?transport=tcp, and nothing else (RFC 7065)"
    }

    package var written: JSONValue { .string(text) }
}
