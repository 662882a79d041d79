import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import JWTAuth

/// What the operator hears of a token that is not good. The clock stands at 1000000.
@Suite("JSON Web Tokens: why not")
struct JWTDetailTests {
    private static func detail(
        _ payload: String, _ change: (inout JWTAuth.Settings) -> Void = { _ in }
    ) async throws -> String? {
        let signer = try TokenSigner.of("HS256")
        let denial = try await JWTAuth.believing([signer], change).outcome(signer.token(payload)).denial
        // Whatever it is, the caller hears the same.
        #expect(denial?.code == "invalid_token" && denial?.message == "Invalid or expired token")
        return denial?.detail
    }

    private static let long = String(repeating: "x", count: 100)

    @Test(
        "the claim that does not hold is named, and what it says is cut",
        arguments: [
            (#""sub":"7""#, "no 'exp'"), (#""sub":"7","exp":"1""#, "'exp' is no number"),
            (#""exp":996400"#, "expired 3600 s ago"), (#""exp":-1e300"#, "expired 1000000000000 s ago"),
            (#""exp":1000060,"nbf":1000050"#, "'nbf' is 50 s ahead"),
            (#""exp":1000060,"iat":1e300"#, "'iat' is 1000000000000 s ahead"),
            (#""exp":1009999"#, "good for 9969 s, longer than `longest_life`"),
            (#""exp":1000060"#, "no 'iss'"), (#""exp":1000060,"iss":"them""#, "'iss' is them, not us"),
            (#""exp":1000060,"iss":"us""#, "no 'aud'"),
            (#""exp":1000060,"iss":"us","aud":"mail""#, "'aud' is mail, not voice"),
            (#""exp":1000060,"iss":"us","aud":["a","b"]"#, #"'aud' is ["a","b"], not voice"#),
            (
                #""exp":1000060,"iss":"us","aud":"\#(long)""#,
                "'aud' is \(long.prefix(64))…, not voice"
            ),
            (#""exp":1000060,"iss":"us","aud":"voice""#, "no 'email'"),
            (#""exp":1000060,"iss":"us","aud":"voice","email":"hunter2""#, "'email' is not what `required` says"),
            (#""exp":1000060,"iss":"us","aud":"voice","email":"a""#, "no 'sub' that is text or a whole number"),
        ])
    func claims(claims: String, detail: String) async throws {
        let found = try await Self.detail("{\(claims)}") { settings in
            (settings.issuer, settings.audience, settings.longestLife) = ("us", "voice", .seconds(3600))
            settings.required = ["email": "a"]
        }
        #expect(found == detail)
    }

    @Test("an audience without a setting, and another type, are named")
    func settings() async throws {
        #expect(
            try await Self.detail(#"{"sub":"7","exp":1000060,"aud":"mail"}"#)
                == "'aud' is mail, and no `audience` is configured")
        #expect(try await Self.detail(#"{"sub":"7","exp":1000060}"#) { $0.typ = "at+jwt" } == "'typ' is not at+jwt")
    }

    @Test("a key that is not there, an algorithm that is not allowed and a wrong signature are told apart")
    func signatures() async throws {
        let (known, other) = (TokenSigner.generation(1), TokenSigner.generation(2))
        let auth = try JWTAuth.believing(FakeIssuer([known])) { $0.algorithms = [.es256, .es384] }
        try await auth.start()
        defer { Task { await auth.stop() } }
        let token = try known.tokenByName()
        #expect(try await auth.accepts(token))
        let forged = try other.token(TokenSigner.farPayload, header: #","kid":"key-1""#)
        #expect(try await auth.outcome(forged).denial?.detail == "signature does not match")
        #expect(
            try await auth.outcome(other.tokenByName()).denial?.detail == "no key 'key-2' for ES256 in the key set")
        let wrong = try TokenSigner.of("RS256").token(TokenSigner.farPayload)
        #expect(
            try await auth.outcome(wrong).denial?.detail
                == "signed with RS256, and only ES256 or ES384 is allowed")
    }

    @Test(
        "text that is no token is described, and not shown",
        arguments: [
            ("hunter2", "a JWT has three parts, and this has 1"),
            ("a.b.c.d.e", "a JWT has three parts, and this has 5"),
            ("a.b.c", "its parts are not those of a JWT, or its header asks for what is not done here"),
            (String(repeating: "a", count: 8193), "longer than 8192 bytes"),
        ])
    func unreadable(token: String, detail: String) async throws {
        let denial = try await JWTAuth.believing([TokenSigner.of("HS256")]).outcome(token).denial
        #expect(denial?.detail == detail && denial == .invalidToken)
    }
}
