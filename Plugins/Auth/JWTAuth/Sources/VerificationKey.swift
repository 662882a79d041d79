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
            case .ed25519: .ed25519(try Self.checked(EdDSA.PublicKey(pem: pem)))
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
        case (.ed25519, .okp(let x)): material = .ed25519(try Self.checked(EdDSA.PublicKey(x: x, curve: .ed25519)))
        case (.secret, _), (.rsa, _), (.p256, _), (.p384, _), (.p521, _), (.ed25519, _):
            throw UnusableKey.algorithm(algorithm.rawValue)
        }
        self.init(id: id, algorithm: algorithm, material: material)
    }

    /// The library takes points of small order for keys, with which a signature of all bytes zero but one is good for
    /// anything (RFC 8032 §5.1.7 does not say that they must be refused).
    private static func checked(_ key: EdDSA.PublicKey) throws(UnusableKey) -> EdDSA.PublicKey {
        var point = Array(key.rawRepresentation)
        // The sign of x, of which there are two for each y.
        point[31] &= 0x7F
        if smallOrder.contains(point) { throw .smallOrder }
        return key
    }

    /// The y of the points whose order divides 8, with the least significant byte first; those that are written as p or more,
    /// too.
    private static let smallOrder: [[UInt8]] = {
        func filled(_ first: UInt8, _ middle: UInt8, _ last: UInt8) -> [UInt8] {
            [first] + [UInt8](repeating: middle, count: 30) + [last]
        }
        return [
            filled(0, 0, 0), filled(1, 0, 0), filled(0xEC, 0xFF, 0x7F), filled(0xED, 0xFF, 0x7F),
            filled(0xEE, 0xFF, 0x7F),
            [
                0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98, 0xF0,
                0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53, 0xFC, 0x05,
            ],
            [
                0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67, 0x0F,
                0x2A, 0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC, 0x03, 0x7A,
            ],
        ]
    }()

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
