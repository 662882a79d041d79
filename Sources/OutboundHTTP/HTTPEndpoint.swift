internal import FoundationEssentials

/// Where a request of the gateway's own goes: an https URL, or an http one of this machine itself.
package struct HTTPEndpoint: Sendable, Hashable {
    /// As it was written.
    package let url: String
    /// Scheme, host and port: what may stand in a log. There may be secrets in a path or a query.
    package let origin: String

    /// Reads a URL (RFC 9110 §4.2).
    package init(_ text: String) throws(HTTPEndpointError) {
        // What is sent in a request head must not end it.
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), !text.contains("#"), let url = URL(string: text),
            let scheme = url.scheme?.lowercased(), ["https", "http"].contains(scheme), let host = url.host,
            !host.isEmpty
        else { throw .notAnEndpoint }
        guard url.user == nil, url.password == nil else { throw .credentials }
        guard scheme == "https" || Self.isThisMachine(host) else { throw .inTheClear(host: host) }
        self.url = text
        let name = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        origin = "\(scheme)://\(name)\(url.port.map { ":\($0)" } ?? "")"
    }

    /// A loopback address (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3) or its name (RFC 6761 §6.3).
    private static func isThisMachine(_ host: String) -> Bool {
        if ["localhost", "::1", "[::1]"].contains(host.lowercased()) { return true }
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers.first == "127"
            && numbers.allSatisfy { number in UInt8(number).map { String($0) == number } ?? false }
    }
}

/// Why nothing is sent to a URL.
package enum HTTPEndpointError: Error, Equatable, CustomStringConvertible {
    /// It is no http or https URL, or has a fragment.
    case notAnEndpoint
    /// A user or a password stands in it.
    case credentials
    /// Everybody on the way to another machine would read what is sent.
    case inTheClear(host: String)

    /// What to write instead.
    package var description: String {
        switch self {
        case .notAnEndpoint: "write an https URL, such as https://login.example.org/path"
        case .credentials: "a URL is no place for a user or a password"
        case .inTheClear(let host): "'\(host)' is another machine: write https; http is for this machine itself"
        }
    }
}
