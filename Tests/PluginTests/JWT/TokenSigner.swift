import Crypto
import CryptoExtras
import Foundation
import PatchbayPlugin
import TestSupport
import Testing

/// Somebody who signs tokens, with code that is not the code that checks them.
struct TokenSigner: Sendable {
    /// What its tokens say as `alg`.
    let algorithm: String
    /// The public part as a member of a key set; empty for a secret.
    var jwk: [String: JSONValue] = [:]
    let signature: @Sendable (Data) throws -> Data

    /// A token with this payload, and what else its header says.
    func token(_ payload: String, header: String = "") throws -> String {
        try signed(header: #"{"alg":"\#(algorithm)"\#(header)}"#, payload: payload)
    }

    /// A token whose header says anything.
    func signed(header: String, payload: String) throws -> String {
        try signed(parts: Data(header.utf8).base64URL + "." + Data(payload.utf8).base64URL)
    }

    /// A token whose first two parts are anything.
    func signed(parts: String) throws -> String {
        try Leaks.token(parts + "." + signature(Data(parts.utf8)).base64URL)
    }

    /// The same key under a name.
    func named(_ kid: String) -> TokenSigner {
        var named = self
        named.jwk["kid"] = .string(kid)
        return named
    }
}

extension TokenSigner {
    /// Good for as long as any of these tests lasts.
    static let farPayload = #"{"sub":"7","exp":9999999}"#

    /// The n-th key of an issuer that changes it.
    static func generation(_ number: Int) -> TokenSigner {
        p256(P256.Signing.PrivateKey()).named("key-\(number)")
    }

    /// A good token that says which key it is signed with.
    func tokenByName() throws -> String {
        try token(Self.farPayload, header: #","kid":\#(jwk["kid"] ?? "")"#)
    }
}

// MARK: - Kinds

extension TokenSigner {
    /// Long enough for HS512.
    static let secret = Leaks.secret(
        "an HMAC secret", "4c1f0d3ab97e5682c4d1e09f7b3a6852d90e1c4f7a6b3d2850f9e8c7b6a5d4e3")

    static func hmac<Hash: HashFunction>(_ algorithm: String, _ hash: Hash.Type, key: Data) -> TokenSigner {
        TokenSigner(algorithm: algorithm) { text in
            Data(HMAC<Hash>.authenticationCode(for: text, using: SymmetricKey(data: key)))
        }
    }

    static func rsa<Hash: HashFunction>(
        _ algorithm: String, _ hash: Hash.Type, _ padding: _RSA.Signing.Padding, key: _RSA.Signing.PrivateKey
    ) -> TokenSigner {
        let parts = try? key.publicKey.getKeyPrimitives()
        return TokenSigner(
            algorithm: algorithm,
            jwk: [
                "kty": "RSA", "alg": .string(algorithm), "n": .string((parts?.modulus ?? Data()).base64URL),
                "e": .string((parts?.publicExponent ?? Data()).base64URL),
            ]
        ) { text in
            try key.signature(for: Hash.hash(data: text), padding: padding).rawRepresentation
        }
    }

    static func p256(_ key: P256.Signing.PrivateKey) -> TokenSigner {
        TokenSigner(algorithm: "ES256", jwk: ec("P-256", "ES256", key.publicKey.rawRepresentation)) { text in
            try key.signature(for: SHA256.hash(data: text)).rawRepresentation
        }
    }

    static func p384(_ key: P384.Signing.PrivateKey) -> TokenSigner {
        TokenSigner(algorithm: "ES384", jwk: ec("P-384", "ES384", key.publicKey.rawRepresentation)) { text in
            try key.signature(for: SHA384.hash(data: text)).rawRepresentation
        }
    }

    static func p521(_ key: P521.Signing.PrivateKey) -> TokenSigner {
        TokenSigner(algorithm: "ES512", jwk: ec("P-521", "ES512", key.publicKey.rawRepresentation)) { text in
            try key.signature(for: SHA512.hash(data: text)).rawRepresentation
        }
    }

    static func ed25519(_ key: Curve25519.Signing.PrivateKey) -> TokenSigner {
        TokenSigner(
            algorithm: "EdDSA",
            jwk: [
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA",
                "x": .string(key.publicKey.rawRepresentation.base64URL),
            ]
        ) { text in
            try key.signature(for: text)
        }
    }

    private static func ec(_ curve: String, _ algorithm: String, _ point: Data) -> [String: JSONValue] {
        let (x, y) = (point.prefix(point.count / 2), point.suffix(point.count / 2))
        return [
            "kty": "EC", "crv": .string(curve), "alg": .string(algorithm), "x": .string(Data(x).base64URL),
            "y": .string(Data(y).base64URL),
        ]
    }
}

// MARK: - One of each

extension TokenSigner {
    static let p256Key = P256.Signing.PrivateKey()
    static let p384Key = P384.Signing.PrivateKey()
    static let p521Key = P521.Signing.PrivateKey()
    static let ed25519Key = Curve25519.Signing.PrivateKey()

    /// Every algorithm there is; those of one family share a key.
    static let all: [TokenSigner] = {
        let secret = Data(Self.secret.utf8)
        let rsa = JWTVectors.rsaKeys[0]
        return [
            hmac("HS256", SHA256.self, key: secret), hmac("HS384", SHA384.self, key: secret),
            hmac("HS512", SHA512.self, key: secret),
            Self.rsa("RS256", SHA256.self, .insecurePKCS1v1_5, key: rsa),
            Self.rsa("RS384", SHA384.self, .insecurePKCS1v1_5, key: rsa),
            Self.rsa("RS512", SHA512.self, .insecurePKCS1v1_5, key: rsa),
            Self.rsa("PS256", SHA256.self, .PSS, key: rsa), Self.rsa("PS384", SHA384.self, .PSS, key: rsa),
            Self.rsa("PS512", SHA512.self, .PSS, key: rsa),
            p256(p256Key), p384(p384Key), p521(p521Key), ed25519(ed25519Key),
        ]
    }()

    /// The one for an algorithm.
    static func of(_ algorithm: String) throws -> TokenSigner {
        try #require(all.first { $0.algorithm == algorithm })
    }
}

/// What stands in Tests/Vectors/jwt: examples of RFC 7515, RFC 7520 and RFC 8037, and public keys that OpenSSL wrote.
enum JWTVectors {
    struct Example: Sendable, CustomTestStringConvertible {
        let name: String
        let algorithm: String
        let jwk: [String: JSONValue]
        let token: String

        var testDescription: String { "\(name) (\(algorithm))" }
        /// Without what only the signer has.
        var publicKey: [String: JSONValue] { jwk.filter { !["d", "p", "q"].contains($0.key) } }
    }

    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Vectors/jwt")
        .standardizedFileURL

    static let examples: [Example] = {
        guard let text = try? Data(contentsOf: folder.appending(path: "rfc.json")),
            case .array(let list)? = try? JSONValue(parsing: Array(text))
        else { return [] }
        return list.map { example in
            Example(
                name: example["name"]?.string ?? "", algorithm: example["algorithm"]?.string ?? "",
                jwk: example["jwk"]?.object ?? [:], token: example["token"]?.string ?? "")
        }
    }()

    /// The private keys of RFC 7515 A.2 and RFC 7520 3.4. To make keys as large takes long.
    static let rsaKeys: [_RSA.Signing.PrivateKey] = examples.filter { $0.algorithm == "RS256" }.compactMap { example in
        func number(_ name: String) -> Data { Data(base64URL: example.jwk[name]?.string ?? "") }
        return try? _RSA.Signing.PrivateKey(
            n: number("n"), e: number("e"), d: number("d"), p: number("p"), q: number("q"))
    }
}

extension Data {
    /// Without padding (RFC 7515 §2).
    var base64URL: String {
        base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    init(base64URL text: String) {
        let base64 = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        self = Data(base64Encoded: base64 + String(repeating: "=", count: (4 - base64.count % 4) % 4)) ?? Data()
    }
}
