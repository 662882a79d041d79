internal import JWTKit

/// A key, and the one algorithm that it is for (RFC 8725 §3.1): a token that says another is not tried with it.
struct VerificationKey: Sendable {
    /// What a token's `kid` must be, where it has one; nil when any will do.
    let id: String?
    let algorithm: JWTAuth.Algorithm
    private let material: Material

    /// Public keys and a secret are of different types, so that neither can be used for the other.
    private enum Material {
        case secret(HMACKey)
        case rsa(Insecure.RSA.PublicKey)
        case p256(ES256PublicKey)
        case p384(ES384PublicKey)
        case p521(ES512PublicKey)
        case ed25519(EdDSA.PublicKey)
    }

    /// A shared secret; nil when the algorithm takes public keys.
    init?(secret: [UInt8], algorithm: JWTAuth.Algorithm) {
        guard algorithm.isSymmetric else { return nil }
        self.init(id: nil, algorithm: algorithm, material: .secret(HMACKey(from: secret)))
    }

    /// A public key in PEM (RFC 7468 §13).
    ///
    /// - Throws: what the library says of it.
    init(pem: String, id: String?, algorithm: JWTAuth.Algorithm) throws {
        let material: Material =
            switch algorithm.keyKind {
            case .secret: throw UnusableKey.symmetric
            case .rsa: .rsa(try Insecure.RSA.PublicKey(pem: pem))
            case .p256: .p256(try ES256PublicKey(pem: pem))
            case .p384: .p384(try ES384PublicKey(pem: pem))
            case .p521: .p521(try ES512PublicKey(pem: pem))
            case .ed25519: .ed25519(try EdDSA.PublicKey(pem: pem))
            }
        self.init(id: id, algorithm: algorithm, material: material)
    }

    /// The parameters of a public key (RFC 7518 §6, RFC 8037 §2), in base64url.
    ///
    /// - Throws: what the library says of them.
    init(_ parameters: PublicParameters, id: String?, algorithm: JWTAuth.Algorithm) throws {
        let material: Material
        switch (algorithm.keyKind, parameters) {
        case (.rsa, .rsa(let n, let e)): material = .rsa(try Insecure.RSA.PublicKey(modulus: n, exponent: e))
        case (.p256, .ec(let x, let y)): material = .p256(try ES256PublicKey(parameters: (x, y)))
        case (.p384, .ec(let x, let y)): material = .p384(try ES384PublicKey(parameters: (x, y)))
        case (.p521, .ec(let x, let y)): material = .p521(try ES512PublicKey(parameters: (x, y)))
        case (.ed25519, .okp(let x)): material = .ed25519(try EdDSA.PublicKey(x: x, curve: .ed25519))
        case (.secret, _), (.rsa, _), (.p256, _), (.p384, _), (.p521, _), (.ed25519, _):
            throw UnusableKey.algorithm(algorithm.rawValue)
        }
        self.init(id: id, algorithm: algorithm, material: material)
    }

    private init(id: String?, algorithm: JWTAuth.Algorithm, material: Material) {
        self.id = id
        self.algorithm = algorithm
        self.material = material
    }

    /// Whether a token with this header may be signed with it.
    func fits(_ header: Header) -> Bool {
        guard algorithm == header.algorithm else { return false }
        guard let id, let wanted = header.keyID else { return true }
        return isSame(id, wanted)
    }

    /// Whether it has signed the token.
    func hasSigned(_ token: CompactToken) async -> Bool {
        await verifies(token.signature, of: token.signed)
    }

    /// Whether the signature of these bytes is of this key.
    func verifies(_ signature: [UInt8], of signed: [UInt8]) async -> Bool {
        let keys = JWTKeyCollection()
        switch material {
        case .secret(let key): await keys.add(hmac: key, digestAlgorithm: algorithm.digest)
        case .rsa(let key) where algorithm.isPSS: await keys.add(pss: key, digestAlgorithm: algorithm.digest)
        case .rsa(let key): await keys.add(rsa: key, digestAlgorithm: algorithm.digest)
        case .p256(let key): await keys.add(ecdsa: key)
        case .p384(let key): await keys.add(ecdsa: key)
        case .p521(let key): await keys.add(ecdsa: key)
        case .ed25519(let key): await keys.add(eddsa: key)
        }
        guard let verifier = try? await keys.getKey() else { return false }
        return (try? verifier.verify(signature, signs: signed)) ?? false
    }
}

/// What a public key is made of, in base64url.
enum PublicParameters {
    /// Modulus and exponent.
    case rsa(n: String, e: String)
    /// Coordinates.
    case ec(x: String, y: String)
    /// The octets of RFC 8032.
    case okp(x: String)
}
