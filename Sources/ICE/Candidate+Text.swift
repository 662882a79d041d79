internal import Wire

/// The text of RFC 8839 §5.1: `candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host …`.
extension Candidate: CustomStringConvertible {
    /// Longest text that is read, in bytes.
    package static let maximumTextSize = 1024

    /// Reads a candidate, with or without `a=` and `candidate:` in front, in any letter case.
    ///
    /// Extensions that are not known are skipped, and a related address that is no IP address is left out.
    /// - Returns: nil when a required part is missing or makes no sense.
    package init?(parsing text: String) {
        guard text.utf8.count <= Self.maximumTextSize else { return nil }
        var rest = text[...]
        while rest.last?.isNewline == true { rest.removeLast() }
        guard rest.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else { return nil }
        for prefix in ["a=", "candidate:"] where rest.prefix(prefix.count).lowercased() == prefix {
            rest = rest.dropFirst(prefix.count)
        }
        let words = rest.split(separator: " ")
        guard words.count >= 8, words[6].lowercased() == "typ",
            let component = Int(words[1]), (1...256).contains(component),
            let transport = Transport(rawValue: words[2].lowercased()),
            let priority = UInt32(words[3]), let port = UInt16(words[5]),
            let kind = Kind(rawValue: words[7].lowercased()),
            let address = Address(words[4], port: port)
        else { return nil }
        let extensions = Extensions(words.dropFirst(8))
        self.init(
            foundation: String(words[0]), component: component, transport: transport, priority: priority,
            address: address, kind: kind, relatedAddress: extensions.relatedAddress, tcpType: extensions.tcpType,
            ufrag: extensions.ufrag)
    }

    /// `candidate:…`, as SDP after `a=` and as a trickled candidate.
    package var description: String {
        let (host, port) =
            switch address {
            case .ip(let address): (address.host, address.port)
            case .name(let name, let port): (name, port)
            }
        var text =
            "candidate:\(foundation) \(component) \(transport.rawValue) \(priority) \(host) \(port) typ \(kind.rawValue)"
        if let relatedAddress { text += " raddr \(relatedAddress.host) rport \(relatedAddress.port)" }
        if let tcpType { text += " tcptype \(tcpType.rawValue)" }
        if let ufrag { text += " ufrag \(ufrag)" }
        return text
    }
}

extension Candidate.Address {
    init?(_ host: Substring, port: UInt16) {
        if let address = SocketAddress(host, port: port) {
            self = .ip(address)
        } else if host.utf8.count <= 253, host.utf8.allSatisfy(Self.isNameByte) {
            self = .name(String(host), port: port)
        } else {
            return nil
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}

/// The name-value pairs after the type.
private struct Extensions {
    var relatedAddress: SocketAddress?
    var tcpType: Candidate.TCPType?
    var ufrag: String?

    init(_ words: ArraySlice<Substring>) {
        var relatedHost: Substring?
        var relatedPort: UInt16?
        var index = words.startIndex
        while index + 1 < words.endIndex {
            let value = words[index + 1]
            switch words[index].lowercased() {
            case "raddr": relatedHost = value
            case "rport": relatedPort = UInt16(value)
            case "tcptype": tcpType = Candidate.TCPType(rawValue: value.lowercased())
            case "ufrag": ufrag = String(value)
            default: break
            }
            index += 2
        }
        if let relatedHost, let relatedPort { relatedAddress = SocketAddress(relatedHost, port: relatedPort) }
    }
}
