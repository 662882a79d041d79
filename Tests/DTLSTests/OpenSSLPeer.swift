import COpenSSL

/// A peer that is not ours: plain OpenSSL over memory BIOs, one datagram a record.
@safe final class OpenSSLPeer {
    enum Identity {
        case none, rsa, ecdsa
    }

    private let context: OpaquePointer
    private let connection: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer
    private(set) var isConnected = false

    /// - Parameter padding: how many bytes of protocol names swell its ClientHello, which then needs fragments.
    init?(client: Bool, identity: Identity, profiles: String, padding: Int = 0) {
        guard let context = unsafe SSL_CTX_new(DTLS_method()), let input = unsafe BIO_new(BIO_s_mem()),
            let output = unsafe BIO_new(BIO_s_mem())
        else { return nil }
        unsafe SSL_CTX_set_options(context, shim_SSL_OP_webrtc())
        unsafe SSL_CTX_set_tlsext_use_srtp(context, profiles)
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, { _, _ in 1 })
        unsafe Self.identify(context, identity)
        guard let connection = unsafe SSL_new(context) else { return nil }
        unsafe SSL_set_bio(connection, input, output)
        unsafe shim_SSL_set_mtu(connection, 1200)
        let names = (0..<padding / 10).flatMap { _ in [UInt8](arrayLiteral: 9) + [UInt8](repeating: 97, count: 9) }
        unsafe SSL_set_alpn_protos(connection, names, UInt32(names.count))
        if client {
            unsafe SSL_set_connect_state(connection)
        } else {
            unsafe SSL_set_accept_state(connection)
        }
        unsafe (self.context, self.connection, self.input, self.output) = unsafe (context, connection, input, output)
    }

    deinit {
        unsafe SSL_free(connection)
        unsafe SSL_CTX_free(context)
    }

    private static func identify(_ context: OpaquePointer, _ identity: Identity) {
        guard identity != .none, let certificate = unsafe X509_new() else { return }
        let key = unsafe identity == .rsa ? rsaKey() : shim_EVP_EC_gen_P256()
        unsafe X509_gmtime_adj(X509_getm_notBefore(certificate), 0)
        unsafe X509_gmtime_adj(X509_getm_notAfter(certificate), 3600)
        unsafe X509_set_pubkey(certificate, key)
        unsafe X509_sign(certificate, key, EVP_sha256())
        unsafe SSL_CTX_use_certificate(context, certificate)
        unsafe SSL_CTX_use_PrivateKey(context, key)
        unsafe EVP_PKEY_free(key)
        unsafe X509_free(certificate)
    }

    private static func rsaKey() -> OpaquePointer? {
        let generator = unsafe EVP_PKEY_CTX_new_from_name(nil, "RSA", nil)
        defer { unsafe EVP_PKEY_CTX_free(generator) }
        var key: OpaquePointer?
        unsafe EVP_PKEY_keygen_init(generator)
        unsafe EVP_PKEY_generate(generator, &key)
        return unsafe key
    }

    /// Takes datagrams and moves on; returns the answers, one a record.
    func exchange(_ datagrams: [[UInt8]]) -> [[UInt8]] {
        for datagram in datagrams {
            unsafe BIO_write(input, datagram, Int32(datagram.count))
            advance()
        }
        if datagrams.isEmpty { advance() }
        var stream = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe BIO_read(output, &stream, Int32(stream.count))
        var records: [[UInt8]] = []
        var start = 0
        while start + 13 <= Int(count) {
            let end = start + 13 + Int(stream[start + 11]) << 8 + Int(stream[start + 12])
            records.append(Array(stream[start..<end]))
            start = end
        }
        return records
    }

    private func advance() {
        ERR_clear_error()
        isConnected = unsafe SSL_do_handshake(connection) == 1
    }
}
