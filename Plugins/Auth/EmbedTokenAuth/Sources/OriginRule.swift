/// Whether a page at `origin` may use a token that allows `domains`.
///
/// No domain allows every page. Otherwise host and port are compared, without regard to case, scheme, path or a
/// trailing dot: a domain without a port allows any port, `*` any host, `*.example.com` also `example.com` itself, and
/// `www.` makes no difference. Only browsers send an honest origin, so this keeps other pages out, not programs.
func originIsAllowed(_ origin: String, domains: [String]) -> Bool {
    if domains.isEmpty { return true }
    guard let page = Authority(origin) else { return false }
    return domains.contains { Authority($0)?.allows(page) ?? false }
}

/// Host and port, from a URL or from as little as a host name.
private struct Authority {
    let host: String
    /// Nil unless it is written out.
    let port: UInt16?

    init?(_ text: String) {
        var rest = text.lowercased()[...]
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        if let scheme = rest.firstRange(of: "://") { rest = rest[scheme.upperBound...] }
        rest = rest.prefix { !"/?#".contains($0) }
        if let user = rest.lastIndex(of: "@") { rest = rest[rest.index(after: user)...] }

        var name: Substring
        if rest.first == "[", let bracket = rest.firstIndex(of: "]") {
            name = rest[rest.index(after: rest.startIndex)..<bracket]
            rest = rest[rest.index(after: bracket)...]
        } else {
            name = rest.prefix { $0 != ":" }
            rest = rest[name.endIndex...]
        }
        if name.last == "." { name.removeLast() }
        guard !name.isEmpty else { return nil }
        host = String(name)
        // What is no port counts as none, as in Dograh: an allowed host stays allowed.
        let digits = rest.dropFirst()
        port = digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16(digits) : nil
    }

    /// Reads `self` as an allowed domain.
    func allows(_ page: Authority) -> Bool {
        if let port, port != page.port { return false }
        if host == "*" { return true }
        if host.hasPrefix("*.") {
            let parent = host.dropFirst(2)
            return page.host == parent || page.host.hasSuffix("." + parent)
        }
        return page.host == host || page.host == "www." + host || "www." + page.host == host
    }
}
