package import PatchbayPlugin
package import Wire

/// How sound travels.
package struct MediaSettings: PluginSettings {
    @Field("Host candidates: IP addresses of this machine, or auto for those of every usable interface")
    package var addresses: MediaAddresses = .auto
    @Field("Where callers elsewhere reach those addresses, if not there: behind 1:1 NAT, in a container, in a cloud")
    package var publicAddress: PublicAddresses?
    @Field("Whether callers do all of ICE's work, since every one of them reaches these addresses")
    package var iceLite: Bool = false
    @Field("TCP port, the same at each address, for callers whose UDP is blocked; none by default", in: 1...65_535)
    package var tcpPort: Int?
    @Field("Whether the gateway itself is reached through TURN; by default where a tenant's policy has no other way")
    package var relay: Bool?
    @Field("UDP ports: loop n takes the n-th") package var ports: PortRange = .init(40_000...40_063)
    @Field("Threads that carry media; one per core by default", in: 1...256) package var loops: Int?
    @Field("How speech is encoded") package var opus: OpusSettings = .init()

    package init() {}
}

/// How speech is encoded, where the caller does not ask for less.
package struct OpusSettings: PluginSettings {
    @Field("How much work the encoder does; 9 takes twice the CPU of 5", in: 0...10)
    package var complexity: Int = 5
    @Field("As little as it may do where processors are short of time", in: 0...10)
    package var minimumComplexity: Int = 0
    @Field("Bit/s; callers may ask for less", in: 6000...128_000) package var bitrate: Int = 32_000
    @Field("The highest sound that is sent: 4, 6, 8, 12 or 20 kHz") package var bandwidth: OpusBandwidth = .full

    package init() {}
}

/// Opus' bandwidths (RFC 6716 §2).
package enum OpusBandwidth: String, FieldChoice {
    case narrow, medium, wide, superwide, full
}

/// `auto`, or IP addresses.
package enum MediaAddresses: FieldValue, Hashable {
    case auto
    /// At least one; ports are 0.
    case list([SocketAddress])

    package static let noun = "auto or a list of IP addresses"
    package static var schema: JSONValue {
        ["anyOf": [["const": "auto"], .variableSchema, ["type": "array", "minItems": 1, "items": IPAddress.schema]]]
    }

    package static func read(_ node: SettingsNode, _ reader: SettingsReader) -> MediaAddresses? {
        if case .scalar(let scalar) = node.content {
            reader.show(node)
            if scalar.text == "auto" { return .auto }
            reader.mismatch(at: node, expected: noun, advice: "write auto, or [\(printable(scalar.source))]")
            return nil
        }
        guard let addresses = [IPAddress].read(node, reader) else { return nil }
        guard !addresses.isEmpty else {
            reader.fault(at: node, "the list of addresses is empty", help: "write auto, or the machine's addresses")
            return nil
        }
        return .list(addresses.map(\.address))
    }

    package var written: JSONValue {
        switch self {
        case .auto: "auto"
        case .list(let addresses): .array(addresses.map { .string($0.host) })
        }
    }
}

/// One IP address, or one of each version.
package struct PublicAddresses: FieldValue, Hashable {
    /// Ports are 0.
    package var addresses: [SocketAddress]

    package static let noun = "an IP address, or a list of one for each IP version"
    package static var schema: JSONValue {
        ["anyOf": [IPAddress.schema, ["type": "array", "minItems": 1, "maxItems": 2, "items": IPAddress.schema]]]
    }

    package static func read(_ node: SettingsNode, _ reader: SettingsReader) -> PublicAddresses? {
        let list: [IPAddress]?
        if case .scalar = node.content {
            list = IPAddress.read(node, reader).map { [$0] }
        } else {
            list = [IPAddress].read(node, reader)
        }
        guard let addresses = list?.map(\.address) else { return nil }
        guard !addresses.isEmpty, Set(addresses.map(\.family)).count == addresses.count else {
            let help = "for example 203.0.113.5"
            reader.fault(at: node, "the gateway has one public address for each IP version", help: help)
            return nil
        }
        for address in addresses where !address.isReachableFromElsewhere {
            reader.fault(
                at: node, "nobody elsewhere reaches \(address.host)",
                help: "write the address under which callers see this machine, for example 203.0.113.5")
            return nil
        }
        return PublicAddresses(addresses: addresses)
    }

    package var written: JSONValue { .array(addresses.map { .string($0.host) }) }
}

extension SocketAddress {
    fileprivate var isReachableFromElsewhere: Bool {
        let address = unwrapped
        return !address.isUnspecified && !address.isLoopback && !address.isLinkLocal && !address.isMulticast
            && !address.isReservedOrBroadcast
    }
}

/// An IP literal that a packet can be sent to.
package struct IPAddress: FieldScalar {
    /// Its port is 0.
    package var address: SocketAddress

    package static let noun = "an IP address"
    package static let schema: JSONValue = ["type": "string"]

    package static func decode(_ text: String) -> IPAddress? {
        SocketAddress(text, port: 0).map(IPAddress.init)
    }

    package var written: JSONValue { .string(address.host) }
}

/// `40000-40063`
package struct PortRange: FieldScalar, Hashable {
    package var ports: ClosedRange<UInt16>

    package init(_ ports: ClosedRange<UInt16>) {
        self.ports = ports
    }

    package static let noun = "a range of ports"
    package static let schema: JSONValue = ["type": "string"]

    package static func decode(_ text: String) -> PortRange? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int.decode(String($0)) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first >= 1, first <= last, last <= 65_535
        else { return nil }
        return PortRange(UInt16(first)...UInt16(last))
    }

    package static func advice(for text: String) -> String? { "for example 40000-40063; the lower one first" }

    package var written: JSONValue { .string("\(ports.lowerBound)-\(ports.upperBound)") }
}
