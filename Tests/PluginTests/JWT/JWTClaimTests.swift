import Foundation
import PatchbayPlugin
import PatchbayTesting
import TestSupport
import Testing

@testable import JWTAuth

/// What good signatures say. The clock stands at 1000000.
@Suite("JSON Web Tokens: claims")
struct JWTClaimTests {
    private static func accepts(
        _ payload: String, header: String = "", _ change: (inout JWTAuth.Settings) -> Void = { _ in }
    ) async throws -> Bool {
        let signer = try TokenSigner.of("HS256")
        return try await JWTAuth.believing([signer], change).accepts(signer.token(payload, header: header))
    }

    @Test(
        "it must say when it ends, by a number that is to come",
        arguments: [
            ("1000060", true), ("1000060.5", true), ("1000000", true), ("999971", true), ("999970.5", true),
            ("1e6", true),
            ("9223372036854775807", true), ("1e300", true), ("999970", false), ("999900", false), ("0", false),
            ("-1", false),
            ("-1000060", false), ("-1e300", false), (#""1000060""#, false), ("null", false), ("true", false),
            ("[1000060]", false),
            (#"{"exp":1000060}"#, false), (#""""#, false),
        ])
    func expiry(exp: String, isGood: Bool) async throws {
        #expect(try await Self.accepts(#"{"sub":"7","exp":\#(exp)}"#) == isGood)
    }

    @Test(
        "without its end it is not good",
        arguments: [#"{"sub":"7"}"#, #"{"sub":"7","EXP":1000060}"#, #"{"sub":"7","exp ":1000060}"#])
    func noExpiry(payload: String) async throws {
        #expect(try await !Self.accepts(payload))
    }

    @Test(
        "it is not good before its time, and was not made after now",
        arguments: [
            (#""nbf":1000030"#, true), (#""nbf":1000030.4"#, false), (#""nbf":1000031"#, false), (#""nbf":0"#, true),
            (#""nbf":-5"#, true),
            (#""nbf":"0""#, false), (#""nbf":null"#, false), (#""nbf":[]"#, false), (#""nbf":1e300"#, false),
            (#""iat":1000000"#, true), (#""iat":1000030"#, true), (#""iat":1000031"#, false), (#""iat":0"#, true),
            (#""iat":"1000000""#, false), (#""iat":null"#, false), (#""iat":true"#, false), (#""iat":1e300"#, false),
        ])
    func times(claim: String, isGood: Bool) async throws {
        #expect(try await Self.accepts(#"{"sub":"7","exp":1000060,\#(claim)}"#) == isGood)
    }

    @Test("clocks may differ by ten minutes and it is refused, however it ends")
    func clocks() async throws {
        let signer = try TokenSigner.of("HS256")
        let issuer = FakeIssuer()
        let auth = try JWTAuth.believing(issuer) { settings in
            settings.jwks = nil
            settings.secret = Secret(TokenSigner.secret)
        }
        let ahead = try signer.token(#"{"sub":"7","iat":1000600,"nbf":1000600,"exp":1000660}"#)
        let behind = try signer.token(#"{"sub":"7","iat":999400,"exp":999460}"#)
        #expect(try await !auth.accepts(ahead))
        #expect(try await !auth.accepts(behind))
        issuer.time.advance(by: .seconds(600))
        #expect(try await auth.accepts(ahead))
    }

    @Test(
        "it is good for no longer than it may be",
        arguments: [
            (#""iat":999000,"exp":1002600"#, true), (#""iat":999000,"exp":1002601"#, false),
            (#""iat":1000000,"exp":1003600"#, true), (#""iat":1000000,"exp":1003601"#, false),
            (#""exp":1003630"#, true), (#""exp":1003631"#, false), (#""exp":1e300"#, false),
            (#""iat":1,"exp":1000060"#, false),
        ])
    func longestLife(times: String, isGood: Bool) async throws {
        let accepted = try await Self.accepts(#"{"sub":"7",\#(times)}"#) { $0.longestLife = .seconds(3600) }
        #expect(accepted == isGood)
    }

    @Test(
        "the audience is a text or a list with the one that is wanted, to the byte",
        arguments: [
            (#""voice""#, true), (#"["voice"]"#, true), (#"["a","voice"]"#, true), (#"["voice","voice"]"#, true),
            (#""Voice""#, false),
            (#""voice ""#, false), (#""voice\u0000""#, false), (#""voic""#, false), (#"["voic","e"]"#, false),
            (#"[["voice"]]"#, false),
            (#"{"voice":true}"#, false), ("[]", false), (#""""#, false), ("null", false), ("[null]", false),
            ("1", false), ("true", false),
        ])
    func audience(aud: String, isGood: Bool) async throws {
        let accepted = try await Self.accepts(#"{"sub":"7","exp":1000060,"aud":\#(aud)}"#) { $0.audience = "voice" }
        #expect(accepted == isGood)
    }

    @Test("one that is for an audience is not for who expects none", arguments: [#""voice""#, "[]", "null", #""""#])
    func unexpectedAudience(aud: String) async throws {
        #expect(try await !Self.accepts(#"{"sub":"7","exp":1000060,"aud":\#(aud)}"#))
    }

    @Test("and one that is for nobody is not for who expects one")
    func missingAudience() async throws {
        #expect(try await !Self.accepts(#"{"sub":"7","exp":1000060}"#) { $0.audience = "voice" })
    }

    @Test(
        "the issuer is the one that is wanted, to the byte",
        arguments: [
            (#""https://caf\u00e9.example/""#, true), (#""https://cafe\u0301.example/""#, false),
            (#""https://caf\u00e9.example""#, false),
            (#""https://caf\u00e9.example//""#, false), (#""HTTPS://caf\u00e9.example/""#, false),
            (#"["https://caf\u00e9.example/"]"#, false),
            (#""https://caf\u00e9.example/.attacker.example""#, false), ("null", false), (#""""#, false), ("1", false),
        ])
    func issuer(iss: String, isGood: Bool) async throws {
        let accepted = try await Self.accepts(#"{"sub":"7","exp":1000060,"iss":\#(iss)}"#) {
            $0.issuer = "https://caf\u{E9}.example/"
        }
        #expect(accepted == isGood)
    }

    @Test("without an issuer it is not the one that is wanted")
    func missingIssuer() async throws {
        #expect(try await !Self.accepts(#"{"sub":"7","exp":1000060}"#) { $0.issuer = "us" })
    }

    @Test(
        "a token that names another issuer is left to the next instance, and no other token is",
        arguments: [
            (#""iss":"them""#, false), (#""iss":"us ""#, false), (#""iss":"""#, false), (#""iss":"us""#, true),
            (#""iss":["them"]"#, true), (#""iss":null"#, true), (#""a":1"#, true),
        ])
    func anotherIssuer(claim: String, isFinal: Bool) async throws {
        let signer = try TokenSigner.of("HS256")
        // Over, so that nobody accepts it.
        let token = try signer.token(#"{"sub":"7","exp":1,\#(claim)}"#)
        let denial = try await JWTAuth.believing([signer]) { $0.issuer = "us" }.outcome(token).denial
        #expect(denial?.code == "invalid_token" && denial?.isFinal == isFinal)
        // Where any issuer is believed there is no other.
        #expect(try await JWTAuth.believing([signer]).outcome(token).denial?.isFinal == true)
        let none = try await JWTAuth.believing([signer]) { $0.issuer = "us" }.outcome(String(token.dropLast(9)) + ".")
        #expect(none.denial?.isFinal == true)
    }

    @Test(
        "an instance is warned of where no token of its own gets past the one before",
        arguments: [nil, "us", "them"] as [String?], [nil, "us", "them"] as [String?])
    func behind(first: String?, second: String?) async throws {
        let signer = try TokenSigner.of("HS256")
        let earlier = try JWTAuth.believing([try TokenSigner.of("ES256")]) { $0.issuer = first }
        let later = try JWTAuth.believing([signer]) { $0.issuer = second }
        var count = 0
        for claim in ["", #","iss":"us""#, #","iss":"them""#, #","iss":"others""#] {
            let token = try signer.token(#"{"sub":"7","exp":1000060\#(claim)}"#)
            let isLeft = try await earlier.outcome(token).denial?.isFinal == false
            let isGood = try await later.accepts(token)
            if isLeft, isGood { count += 1 }
        }
        #expect((later.warning(behind: [earlier]) == nil) == (count > 0))
        #expect(later.warning(behind: []) == nil)
    }

    @Test(
        "a scope is a list of words in one text, as nothing else is",
        arguments: [
            (#""scope":"voice""#, true), (#""scope":"openid voice email""#, true), (#""scope":["a","voice"]"#, true),
            (#""scope":"openid voice2""#, false), (#""scope":"Voice""#, false), (#""scope":"openid,voice""#, false),
            (#""scope":"""#, false), (#""role":"openid voice""#, false),
        ])
    func scope(claim: String, isGood: Bool) async throws {
        let accepted = try await Self.accepts(#"{"sub":"7","exp":1000060,\#(claim)}"#) { settings in
            settings.required = [claim.hasPrefix(#""role"#) ? "role" : "scope": "voice"]
        }
        #expect(accepted == isGood)
    }

    @Test(
        "user and organisation stand in the claims that are said to have them",
        arguments: [
            (#""email":"a@b.example","tenant":"acme""#, "a@b.example", "acme"), (#""email":7,"tenant":8"#, "7", "8"),
            (#""email":"a""#, "a", nil), (#""email":"a","tenant":"""#, "a", nil),
            (#""email":"a","tenant":["x"]"#, "a", nil),
            (#""tenant":"acme""#, nil, nil), (#""email":"""#, nil, nil), (#""email":null"#, nil, nil),
            (#""email":1.5"#, nil, nil),
            (#""email":["a"]"#, nil, nil), (#""email":{"a":1}"#, nil, nil), (#""email":true"#, nil, nil),
        ] as [(String, String?, String?)])
    func names(claims: String, user: String?, organization: String?) async throws {
        let signer = try TokenSigner.of("HS256")
        let auth = try JWTAuth.believing([signer]) { settings in
            settings.userClaim = "email"
            settings.organizationClaim = "tenant"
        }
        let outcome = try await auth.outcome(signer.token(#"{"sub":"7","exp":1000060,\#(claims)}"#))
        #expect(outcome.principal?.id == user && outcome.principal?.organization == organization)
    }

    @Test(
        "claims that are required must be there, and say what they must",
        arguments: [
            ([#"scope"#], #""scope":"x""#, true), (["scope"], #""scope":[]"#, true),
            (["scope"], #""scope":false"#, true),
            (["scope"], #""scope":null"#, false), (["scope"], #""scopes":"x""#, false),
            (["scope", "email"], #""scope":"x""#, false),
            (["email_verified": true], #""email_verified":true"#, true),
            (["email_verified": true], #""email_verified":"true""#, false),
            (["email_verified": true], #""email_verified":1"#, false), (["role": "admin"], #""role":"admin""#, true),
            (["role": "admin"], #""role":"Admin""#, false), (["role": "admin"], #""role":["user","admin"]"#, true),
            (["role": "admin"], #""role":["user"]"#, false), (["role": "admin"], #""role":[["admin"]]"#, false),
            (["role": ["admin", "owner"]], #""role":"owner""#, true),
            (["role": ["admin", "owner"]], #""role":["x","owner"]"#, true),
            (["role": ["admin", "owner"]], #""role":"user""#, false), (["level": 3], #""level":3"#, true),
            (["level": 3], #""level":"3""#, false),
            (["level": 3, "role": "admin"], #""level":3"#, false),
            (["role": "caf\u{E9}"], #""role":"cafe\u0301""#, false),
        ] as [(JSONValue, String, Bool)])
    func required(required: JSONValue, claims: String, isGood: Bool) async throws {
        let accepted = try await Self.accepts(#"{"sub":"7","exp":1000060,\#(claims)}"#) { $0.required = required }
        #expect(accepted == isGood)
    }

    @Test(
        "its type is the one that is wanted, however a media type is written (RFC 7515 §4.1.9)",
        arguments: [
            (#","typ":"at+jwt""#, true), (#","typ":"AT+JWT""#, true), (#","typ":"application/at+jwt""#, true),
            (#","typ":"Application/At+Jwt""#, true), (#","typ":"JWT""#, false), ("", false), (#","typ":"""#, false),
            (#","typ":"at+jwt ""#, false), (#","typ":"text/at+jwt""#, false), (#","typ":"application/""#, false),
        ])
    func type(header: String, isGood: Bool) async throws {
        let accepted = try await Self.accepts(#"{"sub":"7","exp":1000060}"#, header: header) { $0.typ = "at+jwt" }
        #expect(accepted == isGood)
    }

    @Test("what it mints is good where types, lives and claims are asked for")
    func minting() async throws {
        let signer = try TokenSigner.of("HS512")
        let auth = try JWTAuth.believing([signer]) { settings in
            settings.typ = "at+jwt"
            settings.longestLife = .seconds(3600)
            settings.userClaim = "email"
            settings.required = ["role": ["admin", "owner"], "email_verified": true]
        }
        let token = try await Leaks.token(
            auth.mint(TokenRequest(user: "a@b.example", organization: "acme", lifetime: .seconds(3600))))
        let principal = try await auth.outcome(token).principal
        #expect(principal?.id == "a@b.example" && principal?.organization == "acme")
        let header = try JSONValue(parsing: Array(Data(base64URL: String(token.prefix { $0 != "." }))))
        #expect(header["alg"] == "HS512" && header["typ"] == "at+jwt")
        let fault = await #expect(throws: SettingsFault.self) {
            try await auth.mint(TokenRequest(user: "7", lifetime: .seconds(3601)))
        }
        #expect(fault?.description.contains("--lifetime 1h") == true)
    }

    @Test("what it cannot mint it says")
    func notMinted() async throws {
        let asymmetric = try JWTAuth.believing([try TokenSigner.of("RS256")])
        let fault = await #expect(throws: SettingsFault.self) {
            try await asymmetric.mint(TokenRequest(user: "7", lifetime: .seconds(60)))
        }
        #expect(fault?.description.contains("private") == true)
        let demanding = try JWTAuth.believing([try TokenSigner.of("HS256")]) { $0.required = ["email"] }
        let missing = await #expect(throws: SettingsFault.self) {
            try await demanding.mint(TokenRequest(user: "7", lifetime: .seconds(60)))
        }
        #expect(missing?.description.contains("'email'") == true)
    }
}
