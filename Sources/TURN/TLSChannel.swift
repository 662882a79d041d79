internal import COpenSSL
internal import Wire

/// Which servers TLS believes: those that the system's certificate authorities vouch for, or SSL_CERT_FILE.
///
/// Sendable: OpenSSL's object is never changed after `init`, and its reference count is atomic.
@safe package final class TLSTrust: Sendable {
    nonisolated(unsafe) fileprivate let context: OpaquePointer

    /// Reads the authorities' file. Nil when OpenSSL cannot.
    package init?() {
        ERR_clear_error()
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { return nil }
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        guard unsafe SSL_CTX_set_default_verify_paths(context) == 1,
            unsafe shim_SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1
        else {
            unsafe SSL_CTX_free(context)
            return nil
        }
        unsafe self.context = unsafe context
    }

    deinit {
        unsafe SSL_CTX_free(context)
    }
}

/// A client's TLS connection without its socket: what TURN over TLS speaks through.
@safe package final class TLSChannel {
    private let connection: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    /// Plain bytes that wait for the handshake.
    private var waiting: [UInt8] = []
    private var isReady = false
    /// Why it is of no more use; nil while it is.
    package private(set) var failure: String?

    /// Starts the handshake: `takeOutgoing` has its first bytes. Nil when OpenSSL refuses.
    ///
    /// - Parameter host: whose certificate it must be: a name, or an IP address.
    package init?(_ trust: TLSTrust, host: String) {
        guard let connection = unsafe SSL_new(trust.context), let incoming = unsafe BIO_new(BIO_s_mem()),
            let outgoing = unsafe BIO_new(BIO_s_mem())
        else { return nil }
        unsafe (self.connection, self.incoming, self.outgoing) = unsafe (connection, incoming, outgoing)
        unsafe SSL_set_bio(connection, incoming, outgoing)
        unsafe SSL_set_connect_state(connection)
        let isAddress = SocketAddress(host, port: 0) != nil
        if isAddress {
            guard unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), host) == 1 else { return nil }
        } else {
            // An address is no server name (RFC 6066 §3).
            guard unsafe SSL_set1_host(connection, host) == 1,
                unsafe shim_SSL_set_tlsext_host_name(connection, host) == 1
            else { return nil }
        }
        advance()
    }

    deinit {
        unsafe SSL_free(connection)
    }

    /// Takes bytes of the socket, and returns what they say.
    package func receive(_ bytes: [UInt8]) -> [UInt8] {
        guard failure == nil, !bytes.isEmpty else { return [] }
        unsafe BIO_write(incoming, bytes, Int32(clamping: bytes.count))
        if !isReady { advance() }
        guard isReady else { return [] }
        var plain: [UInt8] = []
        ERR_clear_error()
        while true {
            let count = unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16_384) { buffer in
                let count = unsafe SSL_read(connection, buffer.baseAddress, Int32(buffer.count))
                if count > 0 { unsafe plain += buffer.prefix(Int(count)) }
                return count
            }
            guard count <= 0 else { continue }
            if unsafe SSL_get_error(connection, count) != SSL_ERROR_WANT_READ { fail() }
            return plain
        }
    }

    /// Encrypts bytes for the socket, once the handshake is through.
    package func send(_ bytes: [UInt8]) {
        guard failure == nil, !bytes.isEmpty else { return }
        guard isReady else {
            waiting += bytes
            return
        }
        ERR_clear_error()
        // The outgoing side takes everything.
        if unsafe SSL_write(connection, bytes, Int32(clamping: bytes.count)) <= 0 { fail() }
    }

    /// What the socket is to send.
    package func takeOutgoing() -> [UInt8] {
        let count = unsafe BIO_ctrl_pending(outgoing)
        guard count > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = unsafe max(0, Int(BIO_read(outgoing, buffer.baseAddress, Int32(clamping: buffer.count))))
        }
    }

    private func advance() {
        ERR_clear_error()
        let result = unsafe SSL_do_handshake(connection)
        if result == 1 {
            isReady = true
            send(waiting)
            waiting = []
        } else if unsafe SSL_get_error(connection, result) != SSL_ERROR_WANT_READ {
            fail()
        }
    }

    private func fail() {
        let verification = unsafe SSL_get_verify_result(connection)
        if verification != Int(X509_V_OK), let text = unsafe X509_verify_cert_error_string(verification) {
            failure = unsafe "its certificate is not believed: \(String(cString: text))"
        } else {
            let code = ERR_get_error()
            failure = unsafe ERR_reason_error_string(code).map { unsafe "TLS: \(String(cString: $0))" } ?? "TLS: closed"
        }
        ERR_clear_error()
    }
}
