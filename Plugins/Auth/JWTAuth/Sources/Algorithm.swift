internal import JWTKit
public import PatchbayPlugin

extension JWTAuth {
    /// Signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1).
    public enum Algorithm: String, FieldChoice {
        /// HMAC with SHA-256.
        case hs256 = "HS256"
        /// HMAC with SHA-384.
        case hs384 = "HS384"
        /// HMAC with SHA-512.
        case hs512 = "HS512"
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        case rs256 = "RS256"
        /// RSASSA-PKCS1-v1_5 with SHA-384.
        case rs384 = "RS384"
        /// RSASSA-PKCS1-v1_5 with SHA-512.
        case rs512 = "RS512"
        /// RSASSA-PSS with SHA-256.
        case ps256 = "PS256"
        /// RSASSA-PSS with SHA-384.
        case ps384 = "PS384"
        /// RSASSA-PSS with SHA-512.
        case ps512 = "PS512"
        /// ECDSA on P-256 with SHA-256.
        case es256 = "ES256"
        /// ECDSA on P-384 with SHA-384.
        case es384 = "ES384"
        /// ECDSA on P-521 with SHA-512.
        case es512 = "ES512"
        /// Ed25519.
        case edDSA = "EdDSA"
    }
}

extension JWTAuth.Algorithm {
    /// What kind of key it takes.
    enum KeyKind {
        case secret, rsa, p256, p384, p521, ed25519
    }

    var keyKind: KeyKind {
        switch self {
        case .hs256, .hs384, .hs512: .secret
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: .rsa
        case .es256: .p256
        case .es384: .p384
        case .es512: .p521
        case .edDSA: .ed25519
        }
    }

    var isSymmetric: Bool { keyKind == .secret }

    var isPSS: Bool {
        switch self {
        case .ps256, .ps384, .ps512: true
        case .hs256, .hs384, .hs512, .rs256, .rs384, .rs512, .es256, .es384, .es512, .edDSA: false
        }
    }

    /// Of the hash function, in bytes. A secret has to be as long (RFC 7518 §3.2).
    var hashLength: Int {
        switch self {
        case .hs256, .rs256, .ps256, .es256: 32
        case .hs384, .rs384, .ps384, .es384: 48
        case .hs512, .rs512, .ps512, .es512, .edDSA: 64
        }
    }

    var digest: DigestAlgorithm {
        switch hashLength {
        case 32: .sha256
        case 48: .sha384
        default: .sha512
        }
    }
}
