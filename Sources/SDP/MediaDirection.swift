/// Which way media may flow, from the point of view of whoever wrote it (RFC 3264 §6.1).
package enum MediaDirection: String, CaseIterable, Sendable {
    case sendrecv, sendonly, recvonly, inactive

    package init(sends: Bool, receives: Bool) {
        self = sends ? (receives ? .sendrecv : .sendonly) : (receives ? .recvonly : .inactive)
    }

    package var sends: Bool { self == .sendrecv || self == .sendonly }
    package var receives: Bool { self == .sendrecv || self == .recvonly }

    /// The same flow, seen from the other side.
    package var reversed: MediaDirection {
        MediaDirection(sends: receives, receives: sends)
    }

    /// What may be answered to an offer of `offered` by someone who wishes for this.
    func answer(to offered: MediaDirection) -> MediaDirection {
        MediaDirection(sends: sends && offered.receives, receives: receives && offered.sends)
    }
}

/// Who opens the DTLS association (RFC 4145 §4, RFC 8842 §5).
package enum Setup: String, Sendable {
    /// Either; only an offer may say so.
    case actpass
    /// The DTLS client.
    case active
    /// The DTLS server.
    case passive
}
