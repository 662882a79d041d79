import PatchbayConfig
import Signaling
import Wire

extension Request {
    /// What limits for one address count by: an IPv4 address, or the IPv6 network of 64 bits that one subscriber has.
    var remoteNetwork: String {
        guard var address = SocketAddress(remoteAddress, port: 0), address.family == .ipv6 else { return remoteAddress }
        address.low = 0
        return address.host + "/64"
    }

    /// The same request from the address that trusted proxies name in `X-Forwarded-For`: the last that is not one of theirs.
    ///
    /// What stands before it in the field came from the client, who can write anything there. From anybody else
    /// `X-Forwarded-Proto` is not believed either.
    func seen(through proxies: [AddressRange]) -> Request {
        func isProxy(_ address: SocketAddress) -> Bool { proxies.contains { $0.contains(address) } }
        var request = self
        guard var client = SocketAddress(remoteAddress, port: 0), isProxy(client) else {
            request.headers["x-forwarded-proto"] = nil
            return request
        }
        for text in (headers["x-forwarded-for"] ?? "").split(separator: ",").reversed() {
            guard let address = Self.address(inField: text.drop { $0 == " " }.prefix { $0 != " " }) else { break }
            client = address
            if !isProxy(address) { break }
        }
        request.remoteAddress = client.host
        return request
    }

    /// Some proxies write a port behind the address, and IPv4 as it looks to an IPv6 socket.
    private static func address(inField text: Substring) -> SocketAddress? {
        var host = text
        if host.first == "[" {
            host = host.dropFirst().prefix { $0 != "]" }
        } else if host.count(where: { $0 == ":" }) == 1 {
            host = host.prefix { $0 != ":" }
        }
        let isMapped = host.lowercased().hasPrefix("::ffff:") && host.contains(".")
        return SocketAddress(isMapped ? host.dropFirst(7) : host, port: 0)
    }
}
