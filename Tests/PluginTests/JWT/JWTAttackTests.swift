import Crypto
import CryptoExtras
import Foundation
import PatchbayPlugin
import Testing

@testable import JWTAuth

/// What is tried against servers that take tokens: the list of RFC 8725, and what was found since.
@Suite("JSON Web Tokens: forgeries")
struct JWTAttackTests {
    private static let payload = #"{"sub":"7","exp":1000060}"#

    /// The instance that all of these are shown to: it has a secret and a public key of each kind, by name.
    private static func target() throws -> JWTAuth {
        let signers = TokenSigner.all.filter {
            ["HS256", "RS256", "ES256", "ES384", "ES512", "EdDSA"].contains($0.algorithm)
        }
        return try JWTAuth.believing(signers.map { $0.jwk.isEmpty ? $0 : $0.named($0.algorithm.lowercased()) })
    }

    @Test("what each of them forges is good when it is not forged", arguments: ["HS256", "RS256", "ES256", "EdDSA"])
    func control(algorithm: String) async throws {
        let token = try TokenSigner.of(algorithm).token(Self.payload, header: #","kid":"\#(algorithm.lowercased())""#)
        #expect(try await Self.target().accepts(token))
    }

    @Test(
        "no algorithm",
        arguments: ["none", "None", "nONE", "NONE", "", "null", "HS", "HS1", "RS1", "ES256K", "A256GCM"])
    func none(algorithm: String) async throws {
        let parts = Data(#"{"alg":"\#(algorithm)"}"#.utf8).base64URL + "." + Data(Self.payload.utf8).base64URL
        let target = try Self.target()
        for signature in ["", "AA", Data(SHA256.hash(data: Data(parts.utf8))).base64URL] {
            #expect(try await target.outcome(parts + "." + signature).denial == .invalidToken)
        }
        #expect(try await !target.accepts(parts))
        // Also with a signature that would be good.
        #expect(try await !target.accepts(TokenSigner.of("HS256").signed(parts: parts)))
    }

    /// What an attacker knows, used as a secret (RFC 8725 §2.1).
    @Test(
        "a public key as an HMAC secret",
        arguments: ["PEM", "PEM with a line less", "DER", "modulus", "JSON", "point", "nothing", "null"],
        ["HS256", "HS384", "HS512"])
    func confusion(material: String, algorithm: String) async throws {
        let rsa = JWTVectors.rsaKeys[0].publicKey
        let key: Data =
            switch material {
            case "PEM": Data((rsa.pemRepresentation + "\n").utf8)
            case "PEM with a line less": Data(rsa.pemRepresentation.utf8)
            case "DER": rsa.derRepresentation
            case "modulus": try rsa.getKeyPrimitives().modulus
            case "JSON": Data(JSONValue.object(try TokenSigner.of("RS256").jwk).description.utf8)
            case "point": TokenSigner.p256Key.publicKey.x963Representation
            case "null": Data([0])
            default: Data()
            }
        let forger: TokenSigner =
            switch algorithm {
            case "HS256": .hmac(algorithm, SHA256.self, key: key)
            case "HS384": .hmac(algorithm, SHA384.self, key: key)
            default: .hmac(algorithm, SHA512.self, key: key)
            }
        for kid in ["", #","kid":"rs256""#, #","kid":"es256""#] {
            #expect(try await !Self.target().accepts(forger.token(Self.payload, header: kid)))
        }
        // One that has nothing but public keys does not know HMAC at all.
        #expect(try await !JWTAuth.believing([try TokenSigner.of("RS256")]).accepts(forger.token(Self.payload)))
    }

    @Test(
        "a key that the token brings along, or says where it is",
        arguments: ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "kid"], ["ES256", "EdDSA"])
    func ownKey(name: String, algorithm: String) async throws {
        let forger: TokenSigner =
            algorithm == "ES256" ? .p256(P256.Signing.PrivateKey()) : .ed25519(Curve25519.Signing.PrivateKey())
        let value: JSONValue =
            switch name {
            case "jwk": .object(forger.jwk)
            case "jku", "x5u": "https://attacker.example/keys"
            case "x5c": ["MIIBszCCAVmgAwIBAgIUfjqtkWhRD2O4bY2w0q2fRHe5z8gwCgYIKoZIzj0EAwIw"]
            default: "q83vEjRWeJCrze8SNFZ4kKvN7xI"
            }
        let issuer = FakeIssuer([try TokenSigner.of("ES256"), try TokenSigner.of("EdDSA")])
        let auth = try JWTAuth.believing(issuer)
        #expect(try await !auth.accepts(forger.token(Self.payload, header: #","\#(name)":\#(value)"#)))
        // The same from the issuer is good: nobody looks at it.
        if name != "kid" {
            let token = try TokenSigner.of(algorithm).token(Self.payload, header: #","\#(name)":\#(value)"#)
            #expect(try await auth.accepts(token))
        }
    }

    @Test(
        "a name of a key that is more than a name",
        arguments: [
            #""../../../../dev/null""#, #""/dev/null""#, #""' UNION SELECT 'secret' -- ""#, #""es256\u0000""#,
            #""es256 ""#,
            #"" es256""#, #""ES256""#, #""Es256""#, #""es256\n""#, #""é""#, #""$(id)""#, #""%s%n""#, #""*""#, #"".*""#,
            #""https://attacker.example/keys.json""#, #""rs256""#, #""""#, "0", "null", "true", "[]", #"["es256"]"#,
            "{}",
            #""\#(String(repeating: "k", count: 65))""#, #""\#(String(repeating: "k", count: 2000))""#,
        ])
    func names(kid: String) async throws {
        // With the right key and a wrong name, and with no key at all.
        let signer = try TokenSigner.of("ES256")
        let target = try Self.target()
        #expect(try await !target.accepts(signer.token(Self.payload, header: #","kid":\#(kid)"#)))
        let nothing = TokenSigner.hmac("HS256", SHA256.self, key: Data())
        #expect(try await !target.accepts(nothing.token(Self.payload, header: #","kid":\#(kid)"#)))
    }

    @Test("a name of 64 bytes is a name, to the byte", arguments: [64, 63])
    func longName(length: Int) async throws {
        let name = String(repeating: "k", count: length)
        let auth = try JWTAuth.believing([try TokenSigner.of("ES256").named(name)])
        let signer = try TokenSigner.of("ES256")
        #expect(try await auth.accepts(signer.token(Self.payload, header: #","kid":"\#(name)""#)))
        #expect(try await !auth.accepts(signer.token(Self.payload, header: #","kid":"\#(name.dropLast())""#)))
    }

    @Test("names that only Unicode takes for the same are not")
    func canonicalNames() async throws {
        let signer = try TokenSigner.of("ES256")
        let auth = try JWTAuth.believing([signer.named("caf\u{E9}")])
        #expect(try await auth.accepts(signer.token(Self.payload, header: ",\"kid\":\"caf\u{E9}\"")))
        #expect(try await !auth.accepts(signer.token(Self.payload, header: ",\"kid\":\"cafe\u{301}\"")))
    }

    @Test(
        "a header that asks for something else, or for two things",
        arguments: [
            #"{"alg":"HS256","crit":["b64"]}"#, #"{"alg":"HS256","crit":["exp"]}"#, #"{"alg":"HS256","crit":[]}"#,
            #"{"alg":"HS256","crit":null}"#, #"{"alg":"HS256","crit":["b64"],"b64":false}"#,
            #"{"alg":"HS256","b64":false}"#,
            #"{"alg":"HS256","b64":true}"#, #"{"alg":"none","alg":"HS256"}"#, #"{"alg":"HS256","alg":"none"}"#,
            #"{"alg":"HS256","alg":"HS256"}"#, #"{"alg":"HS256","kid":"a","kid":"a"}"#, #"{"alg":["HS256"]}"#,
            #"{"alg":{"HS256":1}}"#, #"{"alg":256}"#, #"{"alg":null}"#, #"{"alg":"HS256 "}"#, #"{"alg":" HS256"}"#,
            #"{"alg":"HS256\u0000"}"#, #"{"alg":"hs256"}"#, #"{"ALG":"HS256"}"#, #"{"typ":"JWT"}"#, #"{}"#, #"[]"#,
            #""HS256""#,
            "null", "", "{", #"{"alg":"HS256"}x"#, #"{"alg":"HS256"}{}"#, #"{"alg":"HS256",}"#, #"{'alg':'HS256'}"#,
            #"{"alg":"HS256"/**/}"#, "\u{FEFF}" + #"{"alg":"HS256"}"#, #"{"alg":"HS256","typ":1}"#,
            #"{"alg":"HS256","typ":null}"#,
            #"{"alg":"HS256","x":\#(String(repeating: "[", count: 17))\#(String(repeating: "]", count: 17))}"#,
            #"{"alg":"HS256","x":\#(String(repeating: #"{"a":"#, count: 900))1\#(String(repeating: "}", count: 900))}"#,
        ])
    func headers(header: String) async throws {
        let token = try TokenSigner.of("HS256").signed(header: header, payload: Self.payload)
        #expect(try await Self.target().outcome(token).denial == .invalidToken)
    }

    @Test(
        "claims that two readers would read in two ways",
        arguments: [
            #"{"sub":"7","sub":"1","exp":1000060}"#, #"{"sub":"7","exp":1,"exp":1000060}"#,
            #"{"sub":"7","s\u0075b":"7","exp":1000060}"#, #"{"sub":"7","exp":1000060}x"#,
            #"{"sub":"7","exp":1000060}{}"#,
            "\u{FEFF}" + #"{"sub":"7","exp":1000060}"#, #"{"sub":"7","exp":1000060,}"#, #"["sub","7"]"#, #""sub""#, "7",
            "null",
            "true", "", "{", #"{"sub":"\uD800","exp":1000060}"#, #"{'sub':'7','exp':1000060}"#,
            #"{"sub":"7","exp":NaN}"#,
            #"{"sub":"7","exp":Infinity}"#, #"{"sub":"7","exp":1e999}"#, #"{"sub":"7","exp":01000060}"#,
            #"{"sub":"7","exp":+1000060}"#, #"{"sub":"7","exp":0xF4250}"#, "{\"sub\":\"7\u{0}\",\"exp\":1000060}",
            // A token in a token (RFC 7519 §5.2).
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.AAAA",
        ])
    func ambiguous(payload: String) async throws {
        let token = try TokenSigner.of("HS256").token(payload)
        #expect(try await Self.target().outcome(token).denial == .invalidToken)
    }

    @Test(
        "text that is not UTF-8 is none",
        arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80]] as [[UInt8]])
    func notUTF8(bytes: [UInt8]) async throws {
        let payload = Data(#"{"exp":1000060,"sub":""#.utf8) + bytes + Data(#""}"#.utf8)
        let parts = Data(#"{"alg":"HS256"}"#.utf8).base64URL + "." + payload.base64URL
        #expect(try await !Self.target().accepts(TokenSigner.of("HS256").signed(parts: parts)))
    }

    /// Each is signed as it is sent, so that nothing but its form is wrong.
    @Test("text that is another way to write the same bytes", arguments: 0...1)
    func spelling(part: Int) async throws {
        let target = try Self.target()
        let signer = try TokenSigner.of("HS256")
        // Two bits are left over in the last digit of each part, and they are zero.
        var parts = [#"{"alg":"HS256" }"#, #"{"sub":"7","exp":1000060 }"#].map { Data($0.utf8).base64URL }
        #expect(try await target.accepts(signer.signed(parts: parts.joined(separator: "."))))
        let good = parts[part]
        let last = try #require(good.last)
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        let digit = try #require(alphabet.firstIndex(of: last))
        try #require(digit % 4 == 0)
        for spelling in [
            good + "=", good + "==", good + "A", good + "\n", good + " ", " " + good, good + "\0",
            good.dropLast() + "\(alphabet[digit + 1])",
            good.dropLast() + "\(alphabet[digit + 2])", "\(good.prefix(4)) \(good.dropFirst(4))",
            "\(good.prefix(4))\n\(good.dropFirst(4))",
            "\(good.prefix(4))%41\(good.dropFirst(4))", "\(good.prefix(4))é\(good.dropFirst(4))",
            good.replacingOccurrences(of: "e", with: "%65"), "",
        ] {
            parts[part] = String(spelling)
            #expect(try await !target.accepts(signer.signed(parts: parts.joined(separator: "."))), "\(spelling)")
        }
    }

    @Test("a signature that is another way to write the same bytes")
    func signatureSpelling() async throws {
        let target = try Self.target()
        let token = try TokenSigner.of("HS256").token(Self.payload)
        for spelling in [
            token + "=", token + "A", token + ".", token + ".x", token + "\n", token + " ", " " + token, "\n" + token,
            "." + token,
            "Bearer " + token, token + "&x=1", token + "#", token + "\0", token + ",x", token + ".x.y",
            token.replacingOccurrences(of: ".", with: ".."), token.replacingOccurrences(of: ".", with: "%2E"),
            token.replacingOccurrences(of: ".", with: "\u{3002}"), String(token.dropLast()), token.uppercased(),
            token.lowercased(),
            token + token, #"{"payload":"","protected":"","signature":""}"#, "..", ".", "", "a.b.c.d.e",
        ] {
            #expect(try await target.outcome(spelling).denial == .invalidToken, "\(spelling)")
        }
        #expect(try await target.accepts(token))
    }

    @Test("a token of 8 KiB is looked at, and none that is longer", arguments: [8192, 8191, 8193, 9000, 100_000])
    func size(bytes: Int) async throws {
        let signer = try TokenSigner.of("HS256")
        // Four characters for three bytes, so blanks in both parts make any length that there is.
        func token(_ header: Int, _ payload: Int) throws -> String {
            try signer.signed(
                header: #"{"alg":"HS256""# + String(repeating: " ", count: header) + "}",
                payload: #"{"sub":"7","exp":1000060"# + String(repeating: " ", count: payload) + "}")
        }
        var found: String?
        for header in 0..<4 where found == nil {
            for payload in max(0, (bytes - 200) * 3 / 4)..<(bytes * 3 / 4) where found == nil {
                let length = try token(header, payload).utf8.count
                if length == bytes { found = try token(header, payload) }
                if length > bytes { break }
            }
        }
        #expect(try await Self.target().accepts(try #require(found)) == (bytes <= 8192))
    }

    @Test(
        "no byte of a token that is changed, and no end that is cut off, makes another that is good",
        arguments: ["HS256", "ES256", "EdDSA"])
    func damage(algorithm: String) async throws {
        let target = try Self.target()
        let token = Array(try TokenSigner.of(algorithm).token(Self.payload).utf8)
        for index in token.indices {
            var damaged = token
            damaged[index] = damaged[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(try await !target.accepts(String(decoding: damaged, as: UTF8.self)))
            #expect(try await !target.accepts(String(decoding: token[..<index], as: UTF8.self)))
        }
    }

    @Test("bytes at random are refused, and nothing traps")
    func noise() async throws {
        var generator = SystemRandomNumberGenerator()
        let target = try Self.target()
        let letters = Array("eyJhbGciOiJIUzI1NiJ9.._-AZ09=\"{}[]:, \0é".utf8)
        for _ in 0..<3000 {
            let text = (0..<Int.random(in: 0...120, using: &generator)).map { _ in
                letters[Int.random(in: 0..<letters.count, using: &generator)]
            }
            #expect(try await !target.accepts(String(decoding: text, as: UTF8.self)))
        }
    }
}
