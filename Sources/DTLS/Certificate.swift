internal import COpenSSL

/// A self-signed ECDSA P-256 certificate and the DTLS settings that go with it (RFC 8827 §6.5).
///
/// One is made at start, lives in memory only and is shared by every connection; make a new one within 30 days.
/// Sendable: both OpenSSL objects are never changed after `init`, and their reference counts are atomic.
@safe package final class Certificate: Sendable {
    /// SHA-256 of the DER form, 32 bytes: what `a=fingerprint:sha-256` says (RFC 8122 §5).
    package let sha256Fingerprint: [UInt8]
    nonisolated(unsafe) let context: OpaquePointer

    /// What a handshake may settle on (RFC 5289 §3.2).
    static let cipherSuites: Set<UInt16> = [0xc02b, 0xc02f]
    /// A peer's certificate chain may be this long, in bytes.
    static let maximumPeerCertificate = 4096

    package init() throws(DTLSError) {
        let key = unsafe shim_EVP_EC_gen_P256()
        let certificate = unsafe X509_new()
        defer {
            unsafe EVP_PKEY_free(key)
            unsafe X509_free(certificate)
        }
        guard let key = unsafe key, let certificate = unsafe certificate, unsafe Self.fill(certificate, key) else {
            throw .draining(.makingCertificate)
        }
        sha256Fingerprint = unsafe FingerprintAlgorithm.sha256.digest(of: certificate)
        guard let context = unsafe SSL_CTX_new(DTLS_method()) else { throw .draining(.configuring) }
        unsafe self.context = unsafe context
        guard unsafe Self.configure(context, certificate, key) else { throw .draining(.configuring) }
    }

    deinit {
        unsafe SSL_CTX_free(context)
    }

    private static func fill(_ certificate: OpaquePointer, _ key: OpaquePointer) -> Bool {
        var serial: UInt64 = 0
        let day = 86_400
        let name = unsafe X509_get_subject_name(certificate)
        return unsafe withUnsafeMutableBytes(of: &serial) { bytes in
            unsafe RAND_bytes(bytes.bindMemory(to: UInt8.self).baseAddress, Int32(bytes.count)) == 1
        }
            && X509_set_version(certificate, 2) == 1
            && ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) == 1
            && X509_gmtime_adj(X509_getm_notBefore(certificate), -day) != nil
            && X509_gmtime_adj(X509_getm_notAfter(certificate), 30 * day) != nil
            && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_FLAG | 1, "WebRTC", -1, -1, 0) == 1
            && X509_set_issuer_name(certificate, name) == 1
            && X509_set_pubkey(certificate, key) == 1
            && X509_sign(certificate, key, EVP_sha256()) > 0
    }

    private static func configure(_ context: OpaquePointer, _ certificate: OpaquePointer, _ key: OpaquePointer) -> Bool
    {
        unsafe SSL_CTX_set_options(context, shim_SSL_OP_webrtc())
        unsafe shim_SSL_CTX_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS))
        unsafe shim_SSL_CTX_disable_session_cache(context)
        unsafe shim_SSL_CTX_set_max_cert_list(context, maximumPeerCertificate)
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        // Any certificate passes here: it is the fingerprint from the offer that says whose it must be (RFC 8827 §5.1),
        // and CertificateVerify that the peer holds its key.
        unsafe SSL_CTX_set_cert_verify_callback(context, { _, _ in 1 }, nil)
        // The two of `cipherSuites`.
        let ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
        return unsafe shim_SSL_CTX_set_proto_version(context, DTLS1_2_VERSION) == 1
            && SSL_CTX_set_cipher_list(context, ciphers) == 1
            && shim_SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1
            && SSL_CTX_set_tlsext_use_srtp(context, "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80") == 0
            && SSL_CTX_use_certificate(context, certificate) == 1
            && SSL_CTX_use_PrivateKey(context, key) == 1
    }
}

/// The hash functions an `a=fingerprint` may use here (RFC 8122 §5).
package enum FingerprintAlgorithm: Sendable {
    case sha256, sha384, sha512

    /// The hash of a certificate's DER form; empty when OpenSSL fails.
    func digest(of certificate: OpaquePointer) -> [UInt8] {
        let algorithm =
            switch self {
            case .sha256: unsafe EVP_sha256()
            case .sha384: unsafe EVP_sha384()
            case .sha512: unsafe EVP_sha512()
            }
        var count: UInt32 = 0
        return unsafe [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, initialized in
            if unsafe X509_digest(certificate, algorithm, buffer.baseAddress, &count) == 1 {
                initialized = Int(count)
            }
        }
    }
}
