import Crypto
import CryptoExtras
import Foundation
import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import JWTAuth

/// What stands in the configuration, and what is wrong with it.
@Suite("JSON Web Tokens: settings")
struct JWTSettingsTests {
    private static let environment = [
        "SECRET": String(TokenSigner.secret.prefix(32)), "LONG": TokenSigner.secret,
        "SHORT": String(TokenSigner.secret.prefix(31)),
        "SAME": String(repeating: "s", count: 64), "CHANGE_ME": "change-me-in-production-change-me-in-production",
        "YOURS": "your-256-bit-secret-your-256-bit-secret", "SITE": "a-string-secret-at-least-256-bits-long",
        "WORD": "secretsecretsecretsecretsecretsecret", "SUPER": "my_super_secret_jwt_key_please_change_me_1234",
        "EXAMPLE": "this-is-an-example-token-secret-value-00000", "COUNT": "12345678901234567890123456789012",
        "PASSWORD": "password123password123password123password",
        "DEVELOPMENT": "supersecretjwtkeyfordevelopmentonly!", "AGAIN": "trustno1trustno1trustno1trustno1",
    ]

    private static func configured(_ yaml: String) throws -> JWTAuth {
        let paths = yaml.replacing("VECTORS", with: JWTVectors.folder.path(percentEncoded: false))
        return try JWTAuth.watched(paths, environment: environment)
    }

    @Test(
        "a secret that can be guessed, or is shorter than the hash, is refused before anybody is let in",
        arguments: [
            ("secret: { env: SHORT }", "31 bytes, and HS256 needs 32"),
            ("{ secret: { env: SECRET }, algorithms: [HS384] }", "32 bytes, and HS384 needs 48"),
            ("{ secret: { env: SECRET }, algorithms: [HS256, HS512] }", "32 bytes, and HS512 needs 64"),
            ("secret: { env: SAME }", "fewer than four"), ("secret: { env: CHANGE_ME }", "placeholder"),
            ("secret: { env: YOURS }", "placeholder"),
            ("secret: { env: SITE }", "placeholder"), ("secret: { env: WORD }", "placeholder"),
            ("secret: { env: SUPER }", "placeholder"), ("secret: { env: EXAMPLE }", "placeholder"),
            ("secret: { env: PASSWORD }", "placeholder"), ("secret: { env: DEVELOPMENT }", "placeholder"),
            ("secret: { env: COUNT }", "a row of digits"), ("secret: { env: AGAIN }", "again and again"),
        ])
    func weakSecrets(yaml: String, words: String) throws {
        let fault = #expect(throws: SettingsFault.self) { try Self.configured(yaml) }
        #expect(fault?.field == "secret")
        #expect(fault?.description.contains(words) == true, "\(fault?.description ?? "")")
        #expect(fault?.description.contains("openssl rand -base64") == true)
        for secret in Self.environment.values { #expect(fault?.description.contains(secret) == false) }
    }

    @Test(
        "any other is taken",
        arguments: [
            "secret: { env: SECRET }", "{ secret: { env: LONG }, algorithms: [HS256, HS384, HS512] }",
        ])
    func goodSecrets(yaml: String) throws {
        #expect(throws: Never.self) { try Self.configured(yaml) }
    }

    @Test(
        "settings that go with nothing are refused where they stand",
        arguments: [
            ("{}", nil), ("issuer: us", nil), ("{ secret: { env: SECRET }, algorithms: [] }", "algorithms"),
            ("{ secret: { env: SECRET }, algorithms: [RS256] }", "algorithms"),
            ("{ secret: { env: SECRET }, algorithms: [HS256, RS256] }", "algorithms"),
            ("{ jwks: https://a.example/k, algorithms: [HS256] }", "algorithms"),
            ("{ jwks: https://a.example/k, algorithms: [HS256, RS256] }", "algorithms"),
            ("{ keys: [{ algorithm: ES256, file: VECTORS/p-256.pem }], algorithms: [] }", "algorithms"),
            ("{ keys: [{ algorithm: ES256, file: VECTORS/p-256.pem }], algorithms: [RS256] }", "keys"),
            ("{ secret: { env: SECRET }, jwks: https://a.example/k, algorithms: [HS256] }", "algorithms"),
            ("{ secret: { env: SECRET }, required: scope }", "required"),
            ("{ secret: { env: SECRET }, required: [1] }", "required"),
            ("{ secret: { env: SECRET }, required: { a: } }", "required"),
            ("{ secret: { env: SECRET }, required: { a: [] } }", "required"),
            ("{ secret: { env: SECRET }, required: { a: { b: 1 } } }", "required"),
            ("{ secret: { env: SECRET }, required: { a: [[b]] } }", "required"),
            ("jwks: http://login.example.org/keys", "jwks"), ("jwks: ftp://a.example/keys", "jwks"),
            ("jwks: keys.json", "jwks"),
            ("jwks: https://user:pass@a.example/keys", "jwks"), ("jwks: https:///keys", "jwks"),
            ("jwks: \"https://a.example/a b\"", "jwks"),
            ("jwks: \"https://a.example/#keys\"", "jwks"), ("jwks: http://127.0.0.1.attacker.example/", "jwks"),
            ("jwks: http://10.0.0.1/", "jwks"),
            ("jwks: http://[::2]/", "jwks"), ("jwks: http://2130706433/", "jwks"), ("jwks: http://127.1/", "jwks"),
            ("jwks: http://localhost.attacker.example/", "jwks"),
        ] as [(String, String?)])
    func contradictions(yaml: String, field: String?) {
        let fault = #expect(throws: SettingsFault.self) { try Self.configured(yaml) }
        #expect(fault?.field == field, "\(fault?.description ?? "")")
        #expect(fault?.description.contains("pass") != true || fault?.field == "jwks")
    }

    @Test(
        "a key set is fetched over TLS, or from this machine",
        arguments: [
            "https://login.example.org/keys?v=1", "HTTPS://login.example.org", "http://localhost:9/keys",
            "http://127.0.0.1:9/", "http://127.9.9.9/", "http://[::1]:9/",
        ])
    func endpoints(url: String) throws {
        #expect(throws: Never.self) { try Self.configured("jwks: \"\(url)\"") }
    }

    @Test(
        "a key set whose every issuer is believed is warned of, and nothing else",
        arguments: [
            ("jwks: https://login.example.org/keys", ["jwks"]),
            ("jwks: https://login.example.org/keys\nissuer: us", []), ("secret: { env: SECRET }", []),
        ] as [(String, [String])])
    func warnings(yaml: String, fields: [String]) throws {
        #expect(try Self.configured(yaml).warnings().compactMap(\.field) == fields)
    }

    @Test("a key of the key set's server comes from the environment, and is not shown")
    func secretParameters() {
        let error = #expect(throws: (any Error).self) {
            try Self.configured("jwks: https://a.example/k?apikey=hunter2")
        }
        let shown = error.map { "\($0)" } ?? ""
        #expect(shown.contains("jwks: 'apikey' is a secret") && shown.contains("write apikey=${NAME}"), "\(shown)")
        #expect(shown.contains("<hidden>") && !shown.contains("hunter2"), "\(shown)")
        #expect(throws: Never.self) { try Self.configured("jwks: \"https://a.example/k?apikey=${LONG}\"") }
    }

    @Test(
        "a key in a file is what the algorithm takes",
        arguments: [
            ("RS256", "rsa-2048.pem"), ("RS512", "rsa-2048.pem"), ("PS256", "rsa-2048.pem"),
            ("RS256", "rsa-2048.pkcs1.pem"), ("ES256", "p-256.pem"),
            ("ES384", "p-384.pem"), ("ES512", "p-521.pem"), ("EdDSA", "ed25519.pem"),
        ])
    func files(algorithm: String, file: String) throws {
        #expect(throws: Never.self) {
            try Self.configured("keys: [{ kid: a, algorithm: \(algorithm), file: VECTORS/\(file) }]")
        }
    }

    @Test(
        "any other file is refused with a sentence about what it is",
        arguments: [
            ("RS256", "rsa-1024.pem", "2048 bits"), ("RS256", "p-256.pem", "RSA key"), ("ES256", "p-384.pem", "P-256"),
            ("ES384", "p-256.pem", "P-384"),
            ("ES512", "p-256.pem", "P-521"), ("ES256", "rsa-2048.pem", "P-256"), ("EdDSA", "p-256.pem", "Ed25519"),
            ("EdDSA", "x25519.pem", "Ed25519"),
            ("ES256", "ed25519.pem", "P-256"),
            ("RS256", "certificate.pem", "certificate"), ("RS256", "rfc.json", "RSA key"),
            ("RS256", "nowhere.pem", "No such file"), ("RS256", "", "regular file"),
            ("HS256", "rsa-2048.pem", "secret"),
        ])
    func otherFiles(algorithm: String, file: String, words: String) throws {
        let fault = #expect(throws: SettingsFault.self) {
            try Self.configured(
                "keys: [{ algorithm: ES256, file: VECTORS/p-256.pem }, { algorithm: \(algorithm), file: VECTORS/\(file) }]"
            )
        }
        let member: SettingsFault.Step = algorithm == "HS256" ? "algorithm" : "file"
        #expect(fault?.field == "keys" && fault?.place == [1, member])
        #expect(fault?.description.contains(words) == true, "\(fault?.description ?? "")")
    }

    @Test("a private key is not asked for, and is not shown")
    func privateKey() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID()).pem")
        defer { try? FileManager.default.removeItem(at: file) }
        let pem = P256.Signing.PrivateKey().pemRepresentation
        try Data(pem.utf8).write(to: file)
        let yaml = "keys: [{ algorithm: ES256, file: \(file.path(percentEncoded: false)) }]"
        let fault = #expect(throws: SettingsFault.self) { try JWTAuth.watched(yaml) }
        #expect(fault?.description.contains("private key") == true)
        for line in pem.split(separator: "\n").dropFirst().dropLast() {
            #expect(fault?.description.contains(line) == false)
        }
    }

    @Test(
        "names of keys are told apart",
        arguments: [
            (
                "[{ kid: a, algorithm: ES256, file: VECTORS/p-256.pem }, { kid: a, algorithm: ES256, file: VECTORS/p-256.pem }]",
                false
            ),
            (
                "[{ kid: a, algorithm: RS256, file: VECTORS/rsa-2048.pem }, { kid: a, algorithm: PS256, file: VECTORS/rsa-2048.pem }]",
                true
            ),
            (
                "[{ kid: a, algorithm: ES256, file: VECTORS/p-256.pem }, { kid: b, algorithm: ES256, file: VECTORS/p-256.pem }]",
                true
            ),
            ("[{ kid: \(String(repeating: "k", count: 65)), algorithm: ES256, file: VECTORS/p-256.pem }]", false),
            ("[{ kid: \"\", algorithm: ES256, file: VECTORS/p-256.pem }]", false),
        ])
    func names(keys: String, isGood: Bool) {
        if isGood {
            #expect(throws: Never.self) { try Self.configured("keys: \(keys)") }
        } else {
            #expect(throws: (any Error).self) { try Self.configured("keys: \(keys)") }
        }
    }

    @Test(
        "a key that does not go with the others is told by its place",
        arguments: [
            ("{ kid: a, algorithm: ES256, file: VECTORS/p-256.pem }", "kid"),
            ("{ kid: \"\", algorithm: ES256, file: VECTORS/p-256.pem }", "kid"),
            ("{ kid: b, algorithm: RS256, file: VECTORS/rsa-2048.pem }", "algorithm"),
        ] as [(String, SettingsFault.Step)])
    func places(key: String, member: SettingsFault.Step) {
        let first = "{ kid: a, algorithm: ES256, file: VECTORS/p-256.pem }"
        let fault = #expect(throws: SettingsFault.self) {
            try Self.configured("{ keys: [\(first), \(key)], algorithms: [ES256] }")
        }
        #expect(fault?.field == "keys" && fault?.place == [1, member])
    }

    @Test("a key from a file lets tokens in, by its name where they name one")
    func fileKeys() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID()).pem")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data((TokenSigner.p256Key.publicKey.pemRepresentation + "\n").utf8).write(to: file)
        let clock = TestClock(.seconds(1_000_000))
        let auth = try JWTAuth.watched(
            "keys: [{ kid: a, algorithm: ES256, file: \(file.path(percentEncoded: false)) }]", clock: clock)
        let signer = try TokenSigner.of("ES256")
        let payload = #"{"sub":"7","exp":1000060}"#
        #expect(try await auth.accepts(signer.token(payload)))
        #expect(try await auth.accepts(signer.token(payload, header: #","kid":"a""#)))
        #expect(try await !auth.accepts(signer.token(payload, header: #","kid":"b""#)))
        // There is nothing that could be fetched.
        try await auth.start()
        await auth.stop()
    }

    @Test(
        "a key from a file checks the tokens of its algorithm",
        arguments: [
            ("RS256", JWTVectors.rsaKeys[0].publicKey.pemRepresentation),
            ("PS512", JWTVectors.rsaKeys[0].publicKey.pemRepresentation),
            ("ES384", TokenSigner.p384Key.publicKey.pemRepresentation),
            ("ES512", TokenSigner.p521Key.publicKey.pemRepresentation),
            ("EdDSA", TokenSigner.ed25519Key.publicKey.pemRepresentation),
        ])
    func filesOfAllKinds(algorithm: String, pem: String) async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID()).pem")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data((pem + "\n").utf8).write(to: file)
        let auth = try JWTAuth.watched(
            "keys: [{ algorithm: \(algorithm), file: \(file.path(percentEncoded: false)) }]",
            clock: TestClock(.seconds(1_000_000)))
        #expect(try await auth.accepts(TokenSigner.of(algorithm).token(#"{"sub":"7","exp":1000060}"#)))
        #expect(try await !auth.accepts(TokenSigner.of("ES256").token(#"{"sub":"7","exp":1000060}"#)))
    }

    @Test(
        "times have bounds",
        arguments: ["leeway: 61s", "jwks_refresh: 299s", "jwks_refresh: 61m", "longest_life: 0", "longest_life: 366d"])
    func bounds(yaml: String) {
        #expect(throws: (any Error).self) { try Self.configured("secret: { env: SECRET }\n\(yaml)") }
    }
}
