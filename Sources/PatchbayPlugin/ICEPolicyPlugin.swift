/// Decides which ICE candidates are used: the gateway's in an answer, the client's in a trickle or an offer.
///
/// Pure and synchronous: it runs for each candidate. What no policy can lift is the list of addresses never dialled.
public protocol ICEPolicyPlugin: Plugin {
    /// Whether `candidate` may pass in `direction`.
    func keeps(_ candidate: Candidate, _ direction: Direction) -> Bool
    /// Whether it never keeps anything but relayed candidates; false where it does not say.
    ///
    /// As outbound policy it then has the gateway look for a relay of its own, send nothing from any other address, and tell
    /// clients that they need one too.
    var onlyRelays: Bool { get }
}

extension ICEPolicyPlugin {
    public var onlyRelays: Bool { false }
}

/// Which way a candidate travels.
public enum Direction: Sendable, Hashable {
    /// From the client.
    case inbound
    /// From the gateway, in its answer or trickled.
    case outbound
}

/// An ICE candidate (RFC 8839 §5.1), as far as a policy needs it.
public struct Candidate: Sendable, Hashable {
    /// The kinds of RFC 8445 §5.1.1.
    public enum Kind: String, Sendable, Hashable {
        /// An address of the machine itself.
        case host
        /// The outside of a NAT, as a STUN server saw it.
        case serverReflexive = "srflx"
        /// The outside of a NAT, as the peer saw it.
        case peerReflexive = "prflx"
        /// An address of a TURN server.
        case relay
    }

    /// How the address was come by.
    public var kind: Kind
    /// An IP literal, or an mDNS name that ends in `.local`.
    public var address: String
    /// UDP or TCP port.
    public var port: UInt16
    /// `udp` or `tcp`.
    public var transport: String

    /// Makes a candidate.
    public init(kind: Kind, address: String, port: UInt16, transport: String = "udp") {
        self.kind = kind
        self.address = address
        self.port = port
        self.transport = transport
    }
}
