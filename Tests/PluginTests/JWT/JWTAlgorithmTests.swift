import Crypto
import CryptoExtras
import Foundation
import PatchbayPlugin
import Testing

@testable import JWTAuth

/// One key, one algorithm (RFC 8725 §3.1).
@Suite("JSON Web Tokens: keys and algorithms")
struct JWTAlgorithmTests {
    static let payload = #"{"sub":"7","exp":1000060}"#
    static let algorithms = JWTAuth.Algorithm.allCases.map(\.rawValue)

    @Test("there is a signer for every algorithm")
    func complete() {
        #expect(TokenSigner.all.map(\.algorithm) == Self.algorithms)
        #expect(JWTVectors.rsaKeys.count == 2)
    }

    /// 169 tokens.
    @Test("a token is good for an instance of its algorithm and for no other", arguments: algorithms, algorithms)
    func matrix(instance: String, token: String) async throws {
        let auth = try JWTAuth.believing([try TokenSigner.of(instance)])
        let outcome = try await auth.outcome(TokenSigner.of(token).token(Self.payload))
        #expect((outcome.principal?.id == "7") == (instance == token))
        #expect(outcome.denial == (instance == token ? nil : .invalidToken))
    }

    /// 169 tokens: the instance knows every key, so that only the header's word decides with which one it tries.
    @Test("a signature is of the algorithm that the header says, or it is none", arguments: algorithms, algorithms)
    func headers(said: String, signed: String) async throws {
        let token = try TokenSigner.of(signed).signed(header: #"{"alg":"\#(said)"}"#, payload: Self.payload)
        #expect(try await JWTAuth.believing(TokenSigner.all).accepts(token) == (said == signed))
    }

    @Test("a signature of one bit less is none", arguments: algorithms)
    func damage(algorithm: String) async throws {
        let auth = try JWTAuth.believing([try TokenSigner.of(algorithm)])
        let token = try TokenSigner.of(algorithm).token(Self.payload)
        let dot = try #require(token.lastIndex(of: "."))
        let signature = Data(base64URL: String(token[token.index(after: dot)...]))
        for place in [0, signature.count / 2, signature.count - 1] {
            var damaged = signature
            damaged[place] ^= 1
            #expect(try await !auth.accepts(token[...dot] + damaged.base64URL))
        }
        for length in [0, 1, signature.count / 2, signature.count - 1] {
            #expect(try await !auth.accepts(token[...dot] + signature.prefix(length).base64URL))
        }
        #expect(try await !auth.accepts(token[...dot] + (signature + [0]).base64URL))
        #expect(try await !auth.accepts(token[...dot] + (Data([0]) + signature).base64URL))
        #expect(try await !auth.accepts(token[...dot] + Data(count: signature.count).base64URL))
        #expect(try await auth.accepts(token))
    }

    @Test("claims that were changed after the signature are not believed", arguments: algorithms)
    func changed(algorithm: String) async throws {
        let signer = try TokenSigner.of(algorithm)
        let parts = try signer.token(Self.payload).split(separator: ".")
        let forged = "\(parts[0]).\(Data(#"{"sub":"1","exp":1000060}"#.utf8).base64URL).\(parts[2])"
        #expect(try await !JWTAuth.believing([signer]).accepts(forged))
    }

    @Test("another key of the same kind is another key", arguments: algorithms)
    func otherKeys(algorithm: String) async throws {
        let other = Data("another key that is as long as the longest one of these tests needs".utf8)
        let rsa = JWTVectors.rsaKeys[1]
        let forger: TokenSigner =
            switch algorithm {
            case "HS256": .hmac("HS256", SHA256.self, key: other)
            case "HS384": .hmac("HS384", SHA384.self, key: other)
            case "HS512": .hmac("HS512", SHA512.self, key: other)
            case "RS256": .rsa("RS256", SHA256.self, .insecurePKCS1v1_5, key: rsa)
            case "RS384": .rsa("RS384", SHA384.self, .insecurePKCS1v1_5, key: rsa)
            case "RS512": .rsa("RS512", SHA512.self, .insecurePKCS1v1_5, key: rsa)
            case "PS256": .rsa("PS256", SHA256.self, .PSS, key: rsa)
            case "PS384": .rsa("PS384", SHA384.self, .PSS, key: rsa)
            case "PS512": .rsa("PS512", SHA512.self, .PSS, key: rsa)
            case "ES256": .p256(P256.Signing.PrivateKey())
            case "ES384": .p384(P384.Signing.PrivateKey())
            case "ES512": .p521(P521.Signing.PrivateKey())
            default: .ed25519(Curve25519.Signing.PrivateKey())
            }
        #expect(forger.algorithm == algorithm)
        let auth = try JWTAuth.believing([try TokenSigner.of(algorithm)])
        #expect(try await !auth.accepts(forger.token(Self.payload)))
        #expect(try await auth.accepts(TokenSigner.of(algorithm).token(Self.payload)))
    }

    @Test("the RFCs' own examples are signed as they say", arguments: JWTVectors.examples)
    func examples(example: JWTVectors.Example) async throws {
        let algorithm = try #require(JWTAuth.Algorithm(rawValue: example.algorithm))
        let key: VerificationKey
        if let secret = example.jwk["k"]?.string {
            key = try #require(VerificationKey(secret: Array(Data(base64URL: secret)), algorithm: algorithm))
        } else {
            key = try VerificationKey(jwk: .object(example.publicKey), algorithms: [algorithm])
        }
        let parts = example.token.split(separator: ".")
        try #require(parts.count == 3)
        let signature = try #require(base64URLDecoded(parts[2].utf8))
        let signed = Array("\(parts[0]).\(parts[1])".utf8)
        #expect(await key.verifies(signature, of: signed))
        #expect(await !key.verifies(signature, of: signed + [0]))
    }

    @Test("the RFCs' examples with claims are good tokens in their time")
    func claimsOfExamples() async throws {
        let examples = JWTVectors.examples.filter { ["RFC 7515 A.2", "RFC 7515 A.3"].contains($0.name) }
        #expect(examples.count == 2)
        for example in examples {
            let issuer = FakeIssuer()
            issuer.publish(keys: [example.publicKey])
            let auth = try JWTAuth.believing(issuer) { settings in
                settings.userClaim = "iss"
                settings.required = ["http://example.com/is_root": true]
            }
            issuer.time.advance(by: .seconds(1_299_819_379))
            #expect(try await auth.outcome(example.token).principal?.id == "joe")
            issuer.time.advance(by: .seconds(31))
            #expect(try await !auth.accepts(example.token))
        }
    }

    /// An algorithm, the order of its curve's group, and how its key signs in DER.
    private static let ecdsa: [(String, String, @Sendable (Data) throws -> Data)] = [
        (
            "ES256", "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551",
            { try TokenSigner.p256Key.signature(for: SHA256.hash(data: $0)).derRepresentation }
        ),
        (
            "ES384",
            "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
            { try TokenSigner.p384Key.signature(for: SHA384.hash(data: $0)).derRepresentation }
        ),
        (
            "ES512",
            "01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
                + "FA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
            { try TokenSigner.p521Key.signature(for: SHA512.hash(data: $0)).derRepresentation }
        ),
    ]

    @Test("an ECDSA signature (r, s) is as good as (r, n - s), which says the same", arguments: ecdsa.indices)
    func malleability(index: Int) async throws {
        let (algorithm, written, _) = Self.ecdsa[index]
        let order = try #require(bytes(written))
        let size = order.count
        let signer = try TokenSigner.of(algorithm)
        let auth = try JWTAuth.believing([signer])
        let token = try signer.token(Self.payload)
        let dot = try #require(token.lastIndex(of: "."))
        let signature = Array(Data(base64URL: String(token[token.index(after: dot)...])))
        #expect(signature.count == 2 * size)
        let (r, s) = (Array(signature[..<size]), Array(signature[size...]))
        func accepts(_ signature: [UInt8]) async throws -> Bool {
            try await auth.accepts(token[...dot] + Data(signature).base64URL)
        }
        #expect(try await accepts(r + difference(order, s)))
        let zero = [UInt8](repeating: 0, count: size)
        let one = [UInt8](repeating: 0, count: size - 1) + [1]
        let forgeries: [[UInt8]] = [
            zero + s, r + zero, zero + zero, r + order, order + s, order + order, one + zero, zero + one, one + one,
            s + r, r + r, [UInt8](repeating: 0xFF, count: 2 * size), Array(r.dropFirst()) + s,
            r + Array(s.dropLast()), [0] + r + [0] + s, r + s + [0], [0] + r + s,
        ]
        for forged in forgeries {
            #expect(try await !accepts(forged))
        }
    }

    @Test("a signature in DER is none (RFC 7518 §3.4)", arguments: ecdsa.indices)
    func der(index: Int) async throws {
        let (algorithm, _, sign) = Self.ecdsa[index]
        let signer = try TokenSigner.of(algorithm)
        let parts = Data(#"{"alg":"\#(algorithm)"}"#.utf8).base64URL + "." + Data(Self.payload.utf8).base64URL
        let signature = try sign(Data(parts.utf8))
        let auth = try JWTAuth.believing([signer])
        #expect(try await !auth.accepts(parts + "." + signature.base64URL))
        // Nor when it is made as long as one that is.
        let size = 2 * (try #require(bytes(Self.ecdsa[index].1))).count
        #expect(try await !auth.accepts(parts + "." + signature.prefix(size).base64URL))
        #expect(try await auth.accepts(signer.signed(parts: parts)))
    }

    @Test("a PSS signature with a salt of another length than the hash, or another mask, is none (RFC 7518 §3.5)")
    func salts() async throws {
        let document = Array(try Data(contentsOf: JWTVectors.folder.appending(path: "pss.json")))
        guard case .array(let vectors) = try JSONValue(parsing: document) else { return }
        #expect(vectors.count == 21)
        var good = 0
        for vector in vectors {
            let algorithm = try #require(vector["algorithm"]?.string.flatMap(JWTAuth.Algorithm.init))
            let isGood = vector["salt"]?.integer == algorithm.hashLength && vector["mask"] == nil
            let token = try #require(vector["token"]?.string)
            let auth = try JWTAuth.believing([try TokenSigner.of(algorithm.rawValue)])
            #expect(try await auth.accepts(token) == isGood, "\(algorithm), salt \(vector["salt"] ?? "")")
            good += isGood ? 1 : 0
        }
        #expect(good == 3)
    }

    @Test("an Ed25519 signature whose S is not reduced is none (RFC 8032 §5.1.7)")
    func unreduced() async throws {
        let order = try #require(bytes("1000000000000000000000000000000014DEF9DEA2F79CD65812631A5CF5D3ED"))
        let signer = try TokenSigner.of("EdDSA")
        let token = try signer.token(Self.payload)
        let dot = try #require(token.lastIndex(of: "."))
        let signature = Array(Data(base64URL: String(token[token.index(after: dot)...])))
        // It is written with its last byte first.
        let raised = sum(Array(signature[32...].reversed()), order).reversed()
        let forged = signature[..<32] + raised
        #expect(try await !JWTAuth.believing([signer]).accepts(token[...dot] + Data(forged).base64URL))
    }
}

/// Bytes from hexadecimal digits.
private func bytes(_ hexadecimal: String) -> [UInt8]? {
    let digits = hexadecimal.compactMap { $0.hexDigitValue.map { UInt8($0) } }
    guard digits.count == hexadecimal.count, digits.count % 2 == 0 else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// Of numbers of the same length, the most significant byte first.
private func difference(_ one: [UInt8], _ other: [UInt8]) -> [UInt8] {
    var borrow = 0
    var result: [UInt8] = []
    for (a, b) in zip(one, other).reversed() {
        let value = Int(a) - Int(b) - borrow
        borrow = value < 0 ? 1 : 0
        result.insert(UInt8(truncatingIfNeeded: value), at: 0)
    }
    return result
}

private func sum(_ one: [UInt8], _ other: [UInt8]) -> [UInt8] {
    var carry = 0
    var result: [UInt8] = []
    for (a, b) in zip(one, other).reversed() {
        let value = Int(a) + Int(b) + carry
        carry = value >> 8
        result.insert(UInt8(truncatingIfNeeded: value), at: 0)
    }
    return result
}
