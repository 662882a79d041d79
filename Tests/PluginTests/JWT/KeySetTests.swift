import Foundation
import PatchbayPlugin
import Testing

@testable import JWTAuth

/// What an issuer publishes, which is not always what it should be.
@Suite("Key sets (RFC 7517)")
struct KeySetTests {
    private static let rsa = JWTVectors.examples.first { $0.name == "RFC 7515 A.2" }?.publicKey ?? [:]
    private static let p256 = JWTVectors.examples.first { $0.name == "RFC 7515 A.3" }?.publicKey ?? [:]
    private static let p521 = JWTVectors.examples.first { $0.name == "RFC 7520 4.3" }?.publicKey ?? [:]
    private static let ed25519 = JWTVectors.examples.first { $0.name == "RFC 8037 A.4" }?.publicKey ?? [:]

    private static func changed(_ key: [String: JSONValue], _ changes: [String: JSONValue?]) -> JSONValue {
        var key = key
        for (name, value) in changes { key[name] = value }
        return .object(key)
    }

    @Test(
        "a key is for the algorithm that it says, else for that of its curve; RSA's for the first that is taken, or RS256",
        arguments: [
            (changed(rsa, [:]), nil, "RS256"), (changed(rsa, ["alg": "RS384"]), nil, "RS384"),
            (changed(rsa, ["alg": "PS512"]), nil, "PS512"), (changed(rsa, [:]), ["ES256", "PS256", "RS256"], "PS256"),
            (changed(rsa, ["alg": "RS256"]), ["PS256", "RS256"], "RS256"), (changed(p256, [:]), nil, "ES256"),
            (changed(p256, ["alg": "ES256"]), ["ES256"], "ES256"), (changed(p521, [:]), nil, "ES512"),
            (changed(ed25519, [:]), nil, "EdDSA"), (changed(ed25519, ["alg": "EdDSA"]), nil, "EdDSA"),
            (changed(rsa, ["use": "sig", "key_ops": ["verify"]]), nil, "RS256"),
            (changed(rsa, ["key_ops": ["sign", "verify"]]), nil, "RS256"),
            (changed(rsa, ["x5c": ["AAAA"], "x5t": "AAAA", "x5u": "https://a.example", "ext": true]), nil, "RS256"),
            // A zero before the modulus, as some write it.
            (
                changed(rsa, ["n": .string((Data([0]) + Data(base64URL: rsa["n"]?.string ?? "")).base64URL)]), nil,
                "RS256"
            ),
        ] as [(JSONValue, [String]?, String)])
    func algorithm(key: JSONValue, taken: [String]?, algorithm: String) throws {
        let taken = taken.map { $0.compactMap(JWTAuth.Algorithm.init(rawValue:)) }
        #expect(try VerificationKey(jwk: key, algorithms: taken).algorithm.rawValue == algorithm)
    }

    @Test(
        "a key that is not for checking signatures, or not a good one, is passed over",
        arguments: [
            ("no object", "key", .malformed), ("nothing", [:], .type("")),
            ("no type", changed(rsa, ["kty": nil]), .type("")),
            ("a secret", ["kty": "oct", "k": "c2VjcmV0"], .isPrivate),
            ("a secret's type", ["kty": "oct"], .type("oct")),
            ("another case", changed(rsa, ["kty": "rsa"]), .type("rsa")),
            ("a type of today", changed(rsa, ["kty": "AKP"]), .type("AKP")),
            ("for encryption", changed(rsa, ["use": "enc"]), .use), ("use null", changed(rsa, ["use": .null]), .use),
            ("for signing", changed(rsa, ["key_ops": ["sign"]]), .use),
            ("for nothing", changed(rsa, ["key_ops": []]), .use),
            ("no list", changed(rsa, ["key_ops": "verify"]), .use),
            ("private RSA", changed(rsa, ["d": "AAAA"]), .isPrivate),
            ("private EC", changed(p256, ["d": "AAAA"]), .isPrivate),
            ("a prime", changed(rsa, ["p": "AAAA"]), .isPrivate),
            ("for RSA encryption", changed(rsa, ["alg": "RSA-OAEP"]), .algorithm("RSA-OAEP")),
            ("HMAC", changed(rsa, ["alg": "HS256"]), .algorithm("HS256")),
            ("none", changed(rsa, ["alg": "none"]), .algorithm("none")),
            ("alg null", changed(rsa, ["alg": .null]), .algorithm("")),
            ("RSA for ECDSA", changed(rsa, ["alg": "ES256"]), .algorithm("ES256")),
            ("P-256 for ES384", changed(p256, ["alg": "ES384"]), .algorithm("ES384")),
            ("P-521 for ES256", changed(p521, ["alg": "ES256"]), .algorithm("ES256")),
            ("Ed25519 for ES256", changed(ed25519, ["alg": "ES256"]), .algorithm("ES256")),
            ("secp256k1", changed(p256, ["crv": "secp256k1"]), .curve("secp256k1")),
            ("no curve", changed(p256, ["crv": nil]), .curve("")),
            ("X25519", changed(ed25519, ["crv": "X25519"]), .curve("X25519")),
            ("Ed448", changed(ed25519, ["crv": "Ed448"]), .curve("Ed448")),
            ("the wrong curve", changed(p256, ["crv": "P-384"]), .malformed),
            ("no modulus", changed(rsa, ["n": nil]), .malformed),
            ("no exponent", changed(rsa, ["e": nil]), .malformed),
            ("1024 bits", changed(rsa, ["n": .string(Data(repeating: 0xFF, count: 128).base64URL)]), .shortRSA),
            (
                "2047 bits", changed(rsa, ["n": .string((Data([0x7F]) + Data(repeating: 0xFF, count: 255)).base64URL)]),
                .malformed
            ),
            (
                "1024 bits behind zeros",
                changed(rsa, ["n": .string((Data(count: 128) + Data(repeating: 0xFF, count: 128)).base64URL)]),
                .malformed
            ),
            ("an endless modulus", changed(rsa, ["n": .string(String(repeating: "q", count: 1368))]), .malformed),
            ("exponent 0", changed(rsa, ["e": "AA"]), .malformed),
            ("exponent 1", changed(rsa, ["e": "AQ"]), .malformed),
            ("an even exponent", changed(rsa, ["e": "Ag"]), .malformed),
            ("an endless exponent", changed(rsa, ["e": .string(String(repeating: "q", count: 300))]), .malformed),
            ("padding", changed(rsa, ["e": "AQAB=="]), .malformed),
            ("a number", changed(rsa, ["e": 65537]), .malformed),
            ("no y", changed(p256, ["y": nil]), .malformed),
            ("a point not on the curve", changed(p256, ["y": p256["x"]]), .malformed),
            (
                "the point zero",
                changed(p256, ["x": .string(Data(count: 32).base64URL), "y": .string(Data(count: 32).base64URL)]),
                .malformed
            ),
            ("a short coordinate", changed(p256, ["x": .string(Data(count: 31).base64URL)]), .malformed),
            ("a long coordinate", changed(p256, ["x": .string(Data(count: 33).base64URL)]), .malformed),
            ("a short octet string", changed(ed25519, ["x": .string(Data(count: 31).base64URL)]), .malformed),
            ("a kid that is no text", changed(rsa, ["kid": 7]), .id), ("no kid at all", changed(rsa, ["kid": ""]), .id),
            ("a kid that no token may name", changed(rsa, ["kid": .string(String(repeating: "k", count: 65))]), .id),
        ] as [(String, JSONValue, UnusableKey)])
    func unusable(_: String, key: JSONValue, reason: UnusableKey) {
        #expect(throws: reason) { try VerificationKey(jwk: key, algorithms: nil) }
        #expect(!reason.description.isEmpty)
    }

    /// In hexadecimal, with their last byte last; with the first bit of that each is the other point of its y.
    @Test(
        "an Ed25519 key of small order, with which anybody can sign, is none",
        arguments: [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ], [UInt8(0), 0x80])
    func smallOrder(point: String, sign: UInt8) {
        let digits = point.compactMap { $0.hexDigitValue.map { UInt8($0) } }
        var bytes = stride(from: 0, to: 64, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
        bytes[31] |= sign
        let key = Self.changed(Self.ed25519, ["x": .string(Data(bytes).base64URL)])
        #expect(throws: UnusableKey.smallOrder) { try VerificationKey(jwk: key, algorithms: nil) }
    }

    @Test("nor is one for an algorithm that is not taken")
    func excluded() {
        #expect(throws: UnusableKey.excluded(.es256)) {
            try VerificationKey(jwk: .object(Self.p256), algorithms: [.rs256])
        }
        #expect(throws: UnusableKey.excluded(.rs256)) {
            try VerificationKey(jwk: .object(Self.rsa), algorithms: [.es256])
        }
    }

    @Test("a set is read past the keys that cannot be used")
    func mixed() throws {
        let keys: JSONValue = [
            "keys": [.object(Self.rsa), ["kty": "oct", "kid": "s"], "x", .object(Self.p256)], "more": 1,
        ]
        let set = try KeySet(parsing: Array(keys.description.utf8), algorithms: nil)
        #expect(set.keys.map(\.algorithm) == [.rs256, .es256])
        #expect(set.unusable.map(\.id) == ["s", ""])
    }

    @Test(
        "what is no set is none",
        arguments: [
            ("", .noJSON(.syntax(offset: 0))), ("<html>", .noJSON(.syntax(offset: 0))), ("[]", .noKeys),
            ("{}", .noKeys),
            (#"{"keys":{}}"#, .noKeys), (#"{"keys":null}"#, .noKeys),
            (#"{"keys":[],"keys":[]}"#, .noJSON(.duplicate(name: "keys"))),
            (#"{"keys":["# + Array(repeating: "{}", count: 33).joined(separator: ",") + "]}", .tooMany(33)),
            (String(repeating: " ", count: 65_537), .tooLong(65_537)),
        ] as [(String, KeySetError)])
    func noSet(text: String, error: KeySetError) {
        #expect(throws: error) { try KeySet(parsing: Array(text.utf8), algorithms: nil) }
        #expect(!error.description.isEmpty)
    }

    @Test(
        "a set of 32 keys and 64 KiB is one",
        arguments: [#"{"keys":["# + Array(repeating: "{}", count: 32).joined(separator: ",") + "]}"])
    func largest(text: String) throws {
        let padded = text + String(repeating: " ", count: 65_536 - text.utf8.count)
        #expect(try KeySet(parsing: Array(padded.utf8), algorithms: nil).unusable.count == 32)
    }

    @Test("base64url comes back as the bytes it was made of, and in no other spelling")
    func base64() {
        for count in 0..<70 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255) }
            let text = Data(bytes).base64URL
            #expect(base64URLDecoded(text.utf8) == bytes)
            #expect(base64URLDecoded((text + "=").utf8) == nil)
        }
        for text in ["A", "AAAAA", "AB", "A+", "A/", "AA=", "AA==", "A A", "AAB", "\u{E9}A", "AA\n"] {
            #expect(base64URLDecoded(text.utf8) == nil, "\(text)")
        }
        #expect(base64URLDecoded("AAA".utf8) == [0, 0])
        #expect(base64URLDecoded("-_-_".utf8) == [0xFB, 0xFF, 0xBF])
    }
}
