/// Why a packet was not protected or not accepted. None ends a session: drop the packet and count it.
package enum SRTPError: Error, Equatable, Sendable {
    /// Wrong key, wrong rollover counter or a changed packet.
    case authentication
    /// Seen before, or older than the replay window (RFC 3711 §3.3.2).
    case replayed
    /// No RTP or RTCP header, or no room for a tag; `count` is the packet's length in bytes.
    case malformed(count: Int)
    /// `count` bytes and their tag do not fit in the `room` given.
    case noRoom(count: Int, room: Int)
    /// A master key and salt of `count` bytes where the profile has `expected`.
    case keyLength(count: Int, expected: Int)
    /// The linked libsrtp fails its known-answer test of a profile.
    case selfTest(SRTPProfile)
    /// libsrtp's own status.
    case library(code: UInt32)
}

extension SRTPError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .authentication: "SRTP: authentication failed (RFC 3711 §3.3)"
        case .replayed: "SRTP: packet replayed or too old (RFC 3711 §3.3.2)"
        case .malformed(let count): "SRTP: \(count) bytes hold no packet (RFC 3711 §3.1)"
        case .noRoom(let count, let room): "SRTP: \(count) bytes and a tag do not fit in \(room)"
        case .keyLength(let count, let expected): "SRTP: key and salt of \(count) bytes, the profile has \(expected)"
        case .selfTest(let profile): "SRTP: the linked libsrtp fails its self-test of \(profile)"
        case .library(let code): "SRTP: libsrtp status \(code)"
        }
    }
}
