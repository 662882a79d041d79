/// Why a handshake or a connection ended.
package enum DTLSError: Error, Equatable, Sendable {
    /// OpenSSL refused `operation`; `code` is the first entry of its error queue, 0 when it gave none.
    case library(Operation, code: UInt, reason: String)
    /// No handshake within the limit; `alert` is the last fatal alert that came in the clear, unbelieved.
    case timedOut(seconds: Int64, alert: UInt8?)
    /// The peer agreed to no protection profile that we offered.
    case noProtectionProfile

    package enum Operation: String, Sendable {
        case makingCertificate = "making a certificate"
        case configuring = "configuring DTLS"
        case handshake = "the handshake"
        case exporting = "exporting the SRTP keys"
        case reading = "reading a record"
    }
}

extension DTLSError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .library(let operation, let code, let reason):
            "DTLS: \(operation.rawValue) failed: \(reason) (OpenSSL error 0x\(String(code, radix: 16)))"
        case .timedOut(let seconds, nil):
            "DTLS: no handshake within \(seconds) s (RFC 6347 §4.2.4)"
        case .timedOut(let seconds, let alert?):
            "DTLS: no handshake within \(seconds) s; the peer had sent alert \(alert) (RFC 5246 §7.2)"
        case .noProtectionProfile:
            "DTLS: the peer chose no SRTP protection profile (RFC 5764 §4.1.2)"
        }
    }
}
