/// Pages that may do something, by host and port: `example.com`, `*.example.com`, `localhost:3000`, `[::1]:3000`, `*`.
///
/// Case, scheme, path and a trailing dot make no difference: a rule without a port allows any port, `*` any host,
/// `*.example.com` also `example.com` itself, and `www.` makes no difference. Only browsers send an honest origin, so this
/// keeps other pages out, not programs.
package struct OriginRule: Hashable, Sendable {
    private enum Host: Hashable {
        case any
        case below(String)
        case one(String)
    }

    private let host: Host
    /// Nil for any.
    private let port: UInt16?
    /// As it was written.
    private let text: String

    /// Reads a rule.
    package init(_ text: String) throws(OriginRuleFault) {
        var rest = Authority.trimmed(text)
        for scheme in ["https://", "http://"] where rest.hasPrefix(scheme) { rest = rest.dropFirst(scheme.count) }
        guard rest.unicodeScalars.allSatisfy(\.isASCII) else { throw .notASCII }
        guard !rest.contains(where: { $0 == "," || $0.isWhitespace }) else { throw .several }
        rest = rest.prefix { !"/?#".contains($0) }
        guard let authority = Authority(hostAndPort: rest) else { throw .host }
        guard !["https", "http"].contains(authority.host) else { throw .scheme }
        if let written = authority.portText {
            guard let port = authority.port, port > 0, !written.isEmpty else { throw .port }
        }
        switch authority.host {
        case "*":
            // A dot behind it is left out before, as behind any name.
            guard !rest.hasPrefix("*.") else { throw .wildcard }
            host = .any
        case let name where name.hasPrefix("*."):
            guard !name.dropFirst(2).contains("*") else { throw .wildcard }
            guard Self.isHostName(name.dropFirst(2)) else { throw .host }
            host = .below(String(name.dropFirst(2)))
        case let name:
            guard !name.contains("*") else { throw .wildcard }
            guard authority.isBracketed ? Self.isIPv6(name) : Self.isHostName(name) else { throw .host }
            host = .one(name)
        }
        port = authority.port
        self.text = text
    }

    /// Whether it allows a page, by its `Origin` or `Referer`. What is no port there counts as none.
    package func allows(_ origin: String) -> Bool { [self].allow(origin) }

    fileprivate func allows(_ page: Authority) -> Bool {
        if let port, port != page.port { return false }
        return switch host {
        case .any: true
        case .below(let parent): page.host == parent || page.host.hasSuffix("." + parent)
        case .one(let name): page.host == name || page.host == "www." + name || "www." + page.host == name
        }
    }

    /// Whether a page comes from the host that a request is for, at whatever port: a proxy may have left that out of
    /// `Host`. That of a sandboxed frame, `null`, comes from nowhere.
    package static func isOwn(_ origin: String, host: String) -> Bool {
        guard origin.contains("://"), let page = Authority(origin),
            let own = Authority(hostAndPort: host.lowercased()[...])
        else { return false }
        return page.host == own.host
    }

    /// Labels of a name or of an IPv4 address.
    private static func isHostName(_ name: some StringProtocol) -> Bool {
        name.utf8.count <= 253
            && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                (1...63).contains(label.utf8.count)
                    && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
            }
    }

    private static func isIPv6(_ text: String) -> Bool {
        text.contains(":") && text.allSatisfy { $0.isASCII && ($0.isHexDigit || $0 == ":" || $0 == ".") }
    }
}

extension Sequence<OriginRule> {
    /// Whether one of them allows a page, by its `Origin` or `Referer`.
    package func allow(_ origin: String) -> Bool {
        guard let page = Authority(origin) else { return false }
        return contains { $0.allows(page) }
    }
}

extension OriginRule: FieldScalar {
    package static let noun = "the origin of pages, such as example.com, *.example.com or localhost:3000"
    package static let schema = String.schema

    package static func decode(_ text: String) -> OriginRule? { try? OriginRule(text) }

    package static func advice(for text: String) -> String? {
        do throws(OriginRuleFault) {
            _ = try OriginRule(text)
            return nil
        } catch {
            return error.description
        }
    }

    package var written: JSONValue { .string(text) }
}

/// Why text is no rule.
package enum OriginRuleFault: Error, Hashable, CustomStringConvertible {
    case scheme
    case several
    case notASCII
    case wildcard
    case host
    case port

    /// What to write instead.
    package var description: String {
        switch self {
        case .scheme: "a scheme ends with ://, and may be left out"
        case .several: "write each in an entry of its own"
        case .notASCII: "write the name as browsers send it, in punycode: xn--bcher-kva.example"
        case .wildcard: "* stands alone for any host, or as *. before a name, and nowhere else"
        case .host: "there is no host name or address in it"
        case .port: "a port is a number from 1 to 65535"
        }
    }
}

/// Host and port, from a URL or from as little as a host name.
private struct Authority {
    let host: String
    let isBracketed: Bool
    /// Nil unless it is written out.
    let port: UInt16?
    /// What stands behind a colon, whatever it is.
    let portText: String?

    /// Of an origin or a referrer. What browsers send is ASCII, and a name in it has no more than 253 letters.
    init?(_ text: String) {
        let start = text.utf8.prefix(1024)
        guard start.allSatisfy({ $0 < 0x80 }) else { return nil }
        var rest = Self.trimmed(String(Substring(start)))
        if let scheme = rest.firstRange(of: "://") { rest = rest[scheme.upperBound...] }
        let end = rest.endIndex
        rest = rest.prefix { !"/?#".contains($0) }
        guard rest.endIndex < end || start.count == text.utf8.count else { return nil }
        if let user = rest.lastIndex(of: "@") { rest = rest[rest.index(after: user)...] }
        self.init(hostAndPort: rest)
    }

    init?(hostAndPort text: Substring) {
        var rest = text
        var name: Substring
        isBracketed = rest.first == "[" && rest.contains("]")
        if isBracketed, let bracket = rest.firstIndex(of: "]") {
            name = rest[rest.index(after: rest.startIndex)..<bracket]
            rest = rest[rest.index(after: bracket)...]
        } else {
            name = rest.prefix { $0 != ":" }
            rest = rest[name.endIndex...]
        }
        if name.last == "." { name.removeLast() }
        guard !name.isEmpty else { return nil }
        host = String(name)
        let digits = rest.dropFirst()
        portText = rest.isEmpty ? nil : String(digits)
        port = digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16(digits) : nil
    }

    /// In lower case, without white space around it.
    static func trimmed(_ text: String) -> Substring {
        var rest = text.lowercased()[...]
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return rest
    }
}
