internal import STUN
package import Wire

extension Allocation {
    package enum Transport: Sendable {
        /// UDP: requests are sent again until they are answered.
        case datagrams
        /// TCP or TLS.
        case stream
    }

    package enum State: Sendable {
        case idle, allocating, allocated, ended
    }

    package struct Configuration: Sendable {
        package var transport: Transport
        package var username: String
        package var password: String
        /// Of the relayed address (RFC 8656 §7.1).
        package var family: SocketAddress.Family
        /// First 32 bits of every transaction id.
        package var transactionTag: UInt32
        package var randomness: RandomSource
        /// Seconds that the server is asked for; it may grant others.
        package var lifetime: UInt32 = 600
        /// Peers that may be permitted and bound.
        package var maximumPeers = 1024

        package init(
            transport: Transport, username: String, password: String, family: SocketAddress.Family,
            transactionTag: UInt32, randomness: RandomSource
        ) {
            self.transport = transport
            self.username = username
            self.password = password
            self.family = family
            self.transactionTag = transactionTag
            self.randomness = randomness
        }
    }

    package enum Output: Sendable, Equatable {
        /// Bytes for the server.
        case transmit([UInt8])
        /// The relayed address, and ours as the server sees it.
        case allocated(relayed: SocketAddress, mapped: SocketAddress?)
        /// The peer may send, and be sent to.
        case permitted(SocketAddress)
        /// The server will not relay to this peer, with its error code; nil where it did not answer.
        case refused(SocketAddress, code: Int?)
        case ended(EndReason)
    }

    /// Why there is no allocation, or no longer one.
    package enum EndReason: Sendable, Equatable {
        /// 300: another server is to be asked (RFC 8489 §10).
        case tryAlternate(SocketAddress)
        /// 401 or 441 in spite of credentials: they are wrong, or have run out.
        case unauthorized
        /// 437: the server has an allocation of this 5-tuple, or none. A new local port is needed.
        case mismatch
        /// Any other error, such as 403 (forbidden), 440 (no such address family), 486 (quota) and 508 (capacity).
        case refused(code: Int, reason: String)
        /// No answer.
        case unanswered
        /// The server answered with what makes no sense.
        case invalidAnswer
        /// It could not be refreshed in its lifetime.
        case expired
    }

}

extension Allocation.EndReason: CustomStringConvertible {
    package var description: String {
        switch self {
        case .tryAlternate(let address): "it names another server, \(address) (300)"
        case .unauthorized: "it does not take the credentials (401)"
        case .mismatch: "it does not know the allocation (437)"
        case .refused(let code, let reason): "it refuses: \(code)\(reason.isEmpty ? "" : " \(reason)")"
        case .unanswered: "no answer"
        case .invalidAnswer: "its answer makes no sense"
        case .expired: "the allocation could not be refreshed in its lifetime"
        }
    }
}

extension Allocation {
    /// What became of what the server sent.
    package enum Reception: Sendable, Equatable {
        /// Data from a peer lies in this range of the datagram.
        case data(Range<Int>, from: SocketAddress)
        case handled
        case dropped(DropReason)
    }

    package enum DropReason: Sendable {
        case malformed, unknownTransaction, badIntegrity, unknownChannel, notPermitted, unexpected
    }

    struct Peer: Sendable {
        /// In the order they came.
        let number: Int
        var isPermitted: Bool
        /// When something last went to it or came from it.
        var lastUsed: MonotonicTime
        var renewPermissionAt: MonotonicTime?
        var channel: UInt16?
        var isBound = false
        var renewChannelAt: MonotonicTime?

        func isIdle(_ now: MonotonicTime) -> Bool {
            now >= lastUsed + Timing.idle
        }
    }

    /// What a request is for.
    enum Purpose: Sendable, Equatable {
        case allocate
        case refresh(lifetime: UInt32)
        case permit(SocketAddress)
        case bind(SocketAddress)

        var isRefresh: Bool {
            if case .refresh = self { true } else { false }
        }

        func permits(_ peer: SocketAddress) -> Bool {
            if case .permit(let address) = self { address.hasHost(of: peer) } else { false }
        }
    }

    struct Transaction: Sendable {
        let purpose: Purpose
        let bytes: [UInt8]
        let isAuthenticated: Bool
        /// How often the server asked for other credentials or another nonce.
        let challenges: Int
        /// How often it may be sent.
        let attempts: Int
        var sent = 1
        /// When it is sent again, or given up.
        var due: MonotonicTime
    }
}

/// Methods (RFC 8656 §17).
enum Method {
    static let allocate: UInt16 = 3
    static let refresh: UInt16 = 4
    static let send: UInt16 = 6
    static let data: UInt16 = 7
    static let createPermission: UInt16 = 8
    static let channelBind: UInt16 = 9
}

/// The figures of RFC 8656, and of RFC 8489 for requests.
enum Timing {
    /// Before a request is sent again, doubled each time. RFC 8489 §6.2.1 has 500 ms where nothing is known of the round
    /// trip; a caller waits for this, so it is what ICE has.
    static let firstRepeat: Duration = .milliseconds(250)
    static let longestRepeat: Duration = .seconds(2)
    /// With these a request is given up after 7.75 s: a server that was restarted is to be noticed within ten.
    static let attempts = 6
    /// The same where there is some doubt whether the server still knows the allocation: 3.75 s.
    static let attemptsOfCheck = 4
    /// Over TCP nothing is repeated.
    static let streamTimeout: Duration = .seconds(8)
    /// How often in a row the server may answer 401 or 438.
    static let challenges = 3
    /// Before the end of an allocation's lifetime (RFC 8656 §8).
    static let refreshLead: Duration = .seconds(60)
    /// A permission lives for 300 s and a channel for 600 (RFC 8656 §9, §12).
    static let permission: Duration = .seconds(240)
    static let channel: Duration = .seconds(540)
    /// What nothing went through for so long is not renewed.
    static let idle: Duration = .seconds(120)
    /// After which a channel that was not renewed may go to another peer: its lifetime and 5 minutes (RFC 8656 §12).
    static let channelRest: Duration = .seconds(900)
    /// Renewals are spread by up to this much, so that many calls do not ask at the same moment.
    static let jitter: Duration = .seconds(15)
}
