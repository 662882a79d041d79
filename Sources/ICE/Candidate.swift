package import Wire

/// A transport address that media might flow to (RFC 8445 §5.1), as `a=candidate` describes it (RFC 8839 §5.1).
package struct Candidate: Sendable, Equatable {
    package enum Transport: String, Sendable {
        case udp, tcp
    }

    /// How the address was found, with the name it has in SDP.
    package enum Kind: String, Sendable {
        case host, srflx, prflx, relay

        /// The recommended type preference (RFC 8445 §5.1.2.2).
        package var preference: UInt32 {
            switch self {
            case .host: 126
            case .prflx: 110
            case .srflx: 100
            case .relay: 0
            }
        }
    }

    /// Who opens the connection of a TCP candidate (RFC 6544 §4.5).
    package enum TCPType: String, Sendable {
        case active, passive, so
    }

    package enum Address: Sendable, Equatable {
        case ip(SocketAddress)
        /// A name that would have to be resolved: mDNS `….local`, or a domain name.
        case name(String, port: UInt16)
    }

    /// Equal for candidates of the same kind, base and protocol; any text without spaces.
    package var foundation: String
    /// 1 … 256; 1 is RTP, and RTCP too where the two share a port.
    package var component: Int
    package var transport: Transport
    package var priority: UInt32
    package var address: Address
    package var kind: Kind
    /// The base of a reflexive candidate, the mapped address of a relayed one.
    package var relatedAddress: SocketAddress?
    package var tcpType: TCPType?
    /// The generation it belongs to (RFC 8840 §4.1).
    package var ufrag: String?

    package init(
        foundation: String, component: Int = 1, transport: Transport = .udp, priority: UInt32, address: Address,
        kind: Kind, relatedAddress: SocketAddress? = nil, tcpType: TCPType? = nil, ufrag: String? = nil
    ) {
        self.foundation = foundation
        self.component = component
        self.transport = transport
        self.priority = priority
        self.address = address
        self.kind = kind
        self.relatedAddress = relatedAddress
        self.tcpType = tcpType
        self.ufrag = ufrag
    }

    /// A candidate's priority (RFC 8445 §5.1.2.1), for component 1.
    static func priority(
        _ kind: Kind, _ transport: Transport = .udp, localPreference: UInt16
    ) -> UInt32 {
        guard transport == .tcp else { return kind.preference << 24 | UInt32(localPreference) << 8 | 255 }
        // Behind every candidate of its kind that is not TCP (RFC 6544 §4.2, with the preferences of browsers), and among
        // TCP ones passive comes behind active.
        let kindPreference = kind == .relay ? kind.preference : kind.preference - 36
        return kindPreference << 24 | (4 << 13 | UInt32(localPreference & 0x1fff)) << 8 | 255
    }
}
