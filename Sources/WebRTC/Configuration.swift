package import Audio
package import DTLS
package import ICE
package import SDP
package import Wire

extension PeerConnection {
    /// What a connection is told when it is made.
    package struct Configuration: Sendable {
        /// Which side of the offer/answer exchange it is; the answering side starts as the controlled ICE agent.
        package enum Role: Sendable {
            case answering, offering
        }

        /// Which way a candidate travels, for `keeps`.
        package enum Direction: Sendable {
            case inbound, outbound
        }

        package var role: Role
        package var certificate: Certificate
        /// Under which addresses of ours datagrams come in, at the beginning.
        package var candidates: [LocalCandidate]
        /// Whether more of them are looked for, so that it is not over with the answer.
        package var isGathering = false
        /// Whether only relayed candidates may be used. Nothing is then sent from any other address, nor received there.
        package var onlyRelays: Bool
        /// Unique among the connections on a port: names the connection, and starts its STUN transaction ids.
        package var tag: UInt32
        /// The host that signaling comes from. Its media may come from there without a candidate that says so.
        package var signalingHost: SocketAddress?
        package var randomness: RandomSource
        /// NTP timestamp of `MonotonicTime.zero`.
        package var ntpOrigin: UInt64
        package var dialRules: DialRules
        /// Whether ICE sends no checks but for consent; the answering side only.
        package var isLite: Bool
        /// The candidate policy.
        package var keeps: @Sendable (Candidate, Direction) -> Bool
        /// Hz of the sound that `input` gets, and of what `output` holds: 8000, 16 000, 24 000 or 48 000.
        package var inputRate: Int
        package var outputRate: Int
        package var input: PCMInputQueue
        package var output: PlayoutQueue
        /// Whether what comes is decoded; else it is counted only, and `input` stays empty.
        package var decodes: Bool
        package var encoder: EncoderSettings
        package var direction: MediaDirection
        /// How long after the offer media must flow.
        package var connectTimeout: Duration

        package init(
            role: Role = .answering, certificate: Certificate, candidates: [LocalCandidate], onlyRelays: Bool = false,
            tag: UInt32, randomness: RandomSource, ntpOrigin: UInt64, dialRules: DialRules, isLite: Bool = false,
            keeps: @escaping @Sendable (Candidate, Direction) -> Bool = { _, _ in true },
            inputRate: Int = 16_000, outputRate: Int = 16_000, input: PCMInputQueue, output: PlayoutQueue,
            decodes: Bool = true, encoder: EncoderSettings = EncoderSettings(), direction: MediaDirection = .sendrecv,
            connectTimeout: Duration = .seconds(60)
        ) {
            self.role = role
            self.certificate = certificate
            self.candidates = candidates
            self.onlyRelays = onlyRelays
            self.tag = tag
            self.randomness = randomness
            self.ntpOrigin = ntpOrigin
            self.dialRules = dialRules
            self.isLite = isLite
            self.keeps = keeps
            self.inputRate = inputRate
            self.outputRate = outputRate
            self.input = input
            self.output = output
            self.decodes = decodes
            self.encoder = encoder
            self.direction = direction
            self.connectTimeout = connectTimeout
        }
    }

    /// An address of ours that peers may be told of.
    package struct LocalCandidate: Sendable, Equatable {
        package var address: SocketAddress
        /// Which way datagrams to it come, and those from it go: a local socket, or a relay.
        package var path: Int
        package var kind: Candidate.Kind
        package var transport: Candidate.Transport
        /// Of the path, where NAT has changed it; where a relay sees us from.
        package var relatedAddress: SocketAddress?

        package init(
            _ address: SocketAddress, path: Int, kind: Candidate.Kind = .host, transport: Candidate.Transport = .udp,
            relatedAddress: SocketAddress? = nil
        ) {
            self.address = address
            self.path = path
            self.kind = kind
            self.transport = transport
            self.relatedAddress = relatedAddress
        }
    }

    /// A candidate of ours as signaling tells it when it is found after the description (RFC 8840).
    package struct TrickledCandidate: Sendable, Equatable {
        /// `candidate:…`
        package var candidate: String
        package var mid: String?
        package var mediaIndex: Int
    }

    /// What a connection tells its owner.
    package enum Event: Sendable, Equatable {
        /// ICE and DTLS are through and the keys are in: media may flow both ways.
        case connected
        /// No answer to consent checks for some seconds; it may come back.
        case disconnected
        case reconnected
        /// One that the description did not have yet; nil when no more come.
        case localCandidate(TrickledCandidate?)
        /// Only relays may be used for a call that is to connect, and there is none.
        case noRelay
        /// The caller pressed a key (RFC 4733): 0-9, *, #, A-D.
        case keyPress(Character)
        /// Over; nothing comes after this.
        case ended(EndReason, CallStatistics)
    }

    /// Why a connection is over.
    package enum EndReason: Sendable, Equatable {
        /// This side closed it.
        case closed
        /// The peer said goodbye: DTLS close_notify.
        case closedByPeer
        /// ICE found no path, or consent to send expired (RFC 7675 §5.1).
        case iceFailed
        case consentExpired
        /// The DTLS handshake failed, with the library's words.
        case dtlsFailed(String)
        /// The peer's certificate is not the one the offer vouched for (RFC 8122 §5).
        case fingerprintMismatch
        /// Media did not flow within the time given.
        case connectTimeout
        /// The codec or SRTP library refused to start.
        case mediaFailed(String)
    }
}

extension PeerConnection.EndReason: CustomStringConvertible {
    package var description: String {
        switch self {
        case .closed: "closed"
        case .closedByPeer: "the peer closed the connection"
        case .iceFailed: "no network path was found (ICE failed)"
        case .consentExpired: "the peer stopped answering (consent expired, RFC 7675)"
        case .dtlsFailed(let words): "the DTLS handshake failed: \(words)"
        case .fingerprintMismatch: "the peer's certificate does not match the fingerprint in its description (RFC 8122)"
        case .connectTimeout: "no media within the time allowed"
        case .mediaFailed(let words): "media could not start: \(words)"
        }
    }
}

/// Why signaling was refused.
package enum PeerConnectionError: Error, Equatable, CustomStringConvertible {
    case sdp(SDPError)
    /// Setting up the stack failed.
    case library(String)
    /// An answer without an offer, or an offer on the offering side.
    case unexpectedDescription
    /// A later offer vouches for another certificate than the one in use.
    case otherAssociation
    case ended

    package var description: String {
        switch self {
        case .sdp(let error): "\(error)"
        case .library(let words): words
        case .unexpectedDescription: "the description does not fit the state of the negotiation (RFC 9429 §4.1.8)"
        case .otherAssociation:
            "a later offer has other fingerprints than the association in use (RFC 8842 §5.5); place a new call"
        case .ended: "the connection has ended"
        }
    }
}
