import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

/// Why a connection came to nothing, as whoever runs the server would say it: errors' own words are for whoever wrote the
/// library.
func failureReason(_ error: any Error) -> String {
    switch error {
    case let error as NIOConnectionError:
        // The last of its addresses that was tried, else why it has none.
        (error.connectionErrors.last?.error ?? error.dnsAError ?? error.dnsAAAAError).map(failureReason)
            ?? "no such host"
    case let error as NIOCore.SocketAddressError.UnknownHost:
        // -5 is EAI_NODATA, which the header has for GNU's own extensions only: a name without an address.
        [Int(EAI_NONAME), -5].contains(error.errorCode)
            ? "no such host" : "the host cannot be looked up: \(lowercasedFirst(error.errorDescription))"
    case let error as IOError: lowercasedFirst(unsafe String(cString: strerror(error.errnoCode)))
    case ChannelError.connectTimeout(let time): "no connection within \(rounded(.nanoseconds(time.nanoseconds)))"
    case ChannelError.eof, ChannelError.ioOnClosedChannel, ChannelError.alreadyClosed, NIOSSLError.uncleanShutdown,
        HTTPParserError.invalidEOFState:
        "connection closed"
    case HTTPParserError.headerOverflow: "the head of the response is too long"
    case is HTTPParserError, is NIOHTTPDecoderError: "not an HTTP server"
    case let error as NIOSSLExtraError
    where [.failedToValidateHostname, .serverHostnameImpossibleToMatch].contains(error):
        "the certificate is for another host"
    case NIOSSLError.handshakeFailed(let cause): handshakeFailure("\(cause)")
    default: "\(error)"
    }
}

/// BoringSSL's reason stands between its routine and the place in its source: `…:OPENSSL_internal:REASON at PATH:LINE`.
private func handshakeFailure(_ cause: String) -> String {
    if cause.contains("EOF during handshake") { return "connection closed during the TLS handshake" }
    guard let routine = cause.firstRange(of: "OPENSSL_internal:") else { return "the TLS handshake failed" }
    let reason = cause[routine.upperBound...].prefix { $0 != " " }
    return switch reason {
    case "CERTIFICATE_VERIFY_FAILED": "the certificate is not trusted: its issuer is unknown, or its time is over"
    case "WRONG_VERSION_NUMBER": "not a TLS server"
    default: "the TLS handshake failed: \(reason.lowercased().replacing("_", with: " "))"
    }
}

/// `800 ms`, `2.5 s`, `10 s`: what is left of a time to wait is no round figure.
func rounded(_ duration: Duration) -> String {
    let milliseconds = Int((duration / .milliseconds(1)).rounded())
    guard milliseconds >= 1000 else { return "\(milliseconds) ms" }
    let tenths = (milliseconds + 50) / 100
    return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
}

private func lowercasedFirst(_ text: String) -> String {
    text.prefix(1).lowercased() + text.dropFirst()
}
