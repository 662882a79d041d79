import Crypto
import Foundation
import JWTAuth
import PatchbayPlugin
import PatchbayTesting
import TestSupport
import Testing

@Suite("JSON Web Tokens")
struct JWTAuthTests {
    private static let secret = Leaks.secret("an HMAC secret", "2b7e151628aed2a6abf7158809cf4f3c")
    private static let acme = Principal(id: "7", organization: "acme", expires: .seconds(1_000_060))
    private let clock = TestClock(.seconds(1_000_000))

    @Test("a good token says who it is")
    func good() async throws {
        let auth = try auth()
        let token = token(#"{"sub":"7","org":"acme","exp":1000060}"#)
        #expect(try await auth.authenticate(bearer(token)).principal == Self.acme)
    }

    @Test(
        "a token's expiry is its caller's, however far away",
        arguments: [
            ("1000060.5", .milliseconds(1_000_060_500)), ("1e300", .seconds(1e12)), ("999980", .seconds(999_980)),
        ] as [(String, Duration)])
    func expiry(exp: String, expires: Duration) async throws {
        let principal = try await auth().authenticate(bearer(token(#"{"sub":"7","exp":\#(exp)}"#))).principal
        #expect(principal?.expires == expires)
    }

    @Test("a subject may be a number, and the organisation stand in another claim")
    func claims() async throws {
        let auth = try auth("organization_claim: tenant_id")
        let principal = try await auth.authenticate(bearer(token(#"{"sub":7,"tenant_id":12,"exp":1000060}"#))).principal
        #expect(principal?.id == "7" && principal?.organization == "12")
    }

    @Test("passes without a bearer token, and where an API key wins over one")
    func passes() async throws {
        let auth = try auth()
        #expect(
            try await auth.authenticate(
                ConnectRequest(tenant: "default", runs: WorkflowRuns(store: MemoryStore(), tenant: "default"))
            ).isPass)
        var request = bearer(token(#"{"sub":"7","exp":1000060}"#))
        request.apiKey = "key"
        #expect(try await auth.authenticate(request).isPass)
    }

    @Test(
        "refuses every other token in the same words",
        arguments: [
            ("no expiry", token(#"{"sub":"7"}"#)),
            ("expiry that is no date", token(#"{"sub":"7","exp":"1000060"}"#)),
            ("expiry null", token(#"{"sub":"7","exp":null}"#)),
            ("expired", token(#"{"sub":"7","exp":999000}"#)),
            ("long expired", token(#"{"sub":"7","exp":-1e300}"#)),
            ("not yet valid", token(#"{"sub":"7","exp":1000060,"nbf":1000050}"#)),
            ("valid from no date", token(#"{"sub":"7","exp":1000060,"nbf":"0"}"#)),
            ("no subject", token(#"{"exp":1000060}"#)),
            ("empty subject", token(#"{"sub":"","exp":1000060}"#)),
            ("subject of another type", token(#"{"sub":["7"],"exp":1000060}"#)),
            ("an audience that nobody asked for", token(#"{"sub":"7","exp":1000060,"aud":"others"}"#)),
            ("another key", token(#"{"sub":"7","exp":1000060}"#, secret: "another key of thirty-two bytes ")),
            ("alg none", unsigned(#"{"alg":"none"}"#)),
            ("alg None", unsigned(#"{"alg":"None"}"#)),
            ("alg none, signed", token(#"{"sub":"7","exp":1000060}"#, header: #"{"alg":"none"}"#)),
            ("alg RS256", token(#"{"sub":"7","exp":1000060}"#, header: #"{"alg":"RS256"}"#)),
            ("alg hs256", token(#"{"sub":"7","exp":1000060}"#, header: #"{"alg":"hs256"}"#)),
            ("alg HS512", token(#"{"sub":"7","exp":1000060}"#, header: #"{"alg":"HS512"}"#)),
            ("no alg", token(#"{"sub":"7","exp":1000060}"#, header: #"{"typ":"JWT"}"#)),
            ("alg a list", token(#"{"sub":"7","exp":1000060}"#, header: #"{"alg":["HS256"]}"#)),
            ("critical extension", token(#"{"sub":"7","exp":1000060}"#, header: #"{"alg":"HS256","crit":["b64"]}"#)),
            ("header of deep JSON", token(#"{"sub":"7"}"#, header: #"{"x":"# + String(repeating: "[", count: 400))),
            ("critical nonsense", token(#"{"sub":"7","exp":1000060}"#, header: #"{"alg":"HS256","crit":1}"#)),
            ("9 KB", token(#"{"sub":"7","exp":1000060,"x":"\#(String(repeating: "x", count: 6_700))"}"#)),
            ("no JSON", token("sub=7")),
            ("a JSON list", token(#"["sub"]"#)),
            ("deep JSON", token(String(repeating: "[", count: 3_000))),
            ("no signature", token(#"{"sub":"7","exp":1000060}"#) + "x"),
            ("signature cut off", String(token(#"{"sub":"7","exp":1000060}"#).dropLast(2))),
            ("two parts", "a.b"), ("four parts", token(#"{"sub":"7","exp":1000060}"#) + ".x"),
            ("empty", ""), ("dots", ".."), ("not ASCII", "é.é.é"), ("nul", "\0.\0.\0"),
        ])
    func refuses(_: String, token: String) async throws {
        let outcome = try await auth().authenticate(bearer(token))
        #expect(outcome.denial == Denial(code: "invalid_token", message: "Invalid or expired token"))
    }

    @Test(
        "the leeway reaches exactly that far",
        arguments: [
            (#""exp":999971"#, true), (#""exp":999970.5"#, true), (#""exp":999970"#, false),
            (#""exp":1000060,"nbf":1000030"#, true), (#""exp":1000060,"nbf":1000031"#, false),
        ])
    func leeway(dates: String, isGood: Bool) async throws {
        let outcome = try await auth().authenticate(bearer(token(#"{"sub":"7",\#(dates)}"#)))
        #expect((outcome.principal != nil) == isGood)
    }

    @Test("without leeway the second of the expiry is too late")
    func noLeeway() async throws {
        let auth = try auth("leeway: 0")
        let token = token(#"{"sub":"7","exp":1000001}"#)
        #expect(try await auth.authenticate(bearer(token)).principal != nil)
        clock.advance(by: .seconds(1))
        #expect(try await auth.authenticate(bearer(token)).principal == nil)
    }

    @Test(
        "issuer and audience must be the ones that are set",
        arguments: [
            (#""iss":"us","aud":"gateway""#, true), (#""iss":"us","aud":["other","gateway"]"#, true),
            (#""iss":"them","aud":"gateway""#, false), (#""aud":"gateway""#, false),
            (#""iss":["us"],"aud":"gateway""#, false),
            (#""iss":"us""#, false), (#""iss":"us","aud":"other""#, false), (#""iss":"us","aud":[]"#, false),
            (#""iss":"us","aud":{"gateway":1}"#, false),
        ])
    func issuerAndAudience(claims: String, isGood: Bool) async throws {
        let outcome = try await auth("issuer: us\naudience: gateway")
            .authenticate(bearer(token(#"{"sub":"7","exp":1000060,\#(claims)}"#)))
        #expect((outcome.principal != nil) == isGood)
    }

    @Test("what it mints it accepts, until it expires")
    func minting() async throws {
        let auth = try auth("issuer: us\naudience: gateway\norganization_claim: tenant_id")
        let token = try await Leaks.token(
            auth.mint(TokenRequest(user: "7", organization: "acme", lifetime: .seconds(60))))
        #expect(try await auth.authenticate(bearer(token)).principal == Self.acme)
        clock.advance(by: .seconds(90))
        #expect(try await auth.authenticate(bearer(token)).principal == nil)
        await #expect(throws: SettingsFault.self) { try await auth.mint(TokenRequest(lifetime: .seconds(60))) }
    }

    @Test(
        "refuses settings that protect nothing",
        arguments: [
            ("{ secret: { env: SHORT } }", "secret"), ("{ secret: { env: SECRET }, algorithms: [] }", "algorithms"),
        ])
    func weakSettings(yaml: String, field: String) throws {
        let error = #expect(throws: SettingsFault.self) {
            try JWTAuth.watched(yaml, environment: ["SECRET": Self.secret, "SHORT": String(Self.secret.dropLast())])
        }
        #expect(error?.field == field)
        #expect(error?.description.contains(Self.secret.prefix(10)) == false)
    }

    @Test("refuses other algorithms and a leeway over a minute", arguments: ["algorithms: [none]", "leeway: 61s"])
    func outOfRange(yaml: String) throws {
        #expect(throws: (any Error).self) { try auth(yaml) }
    }

    private func auth(_ more: String = "") throws -> JWTAuth {
        try JWTAuth.watched("secret: { env: SECRET }\n\(more)\n", environment: ["SECRET": Self.secret], clock: clock)
    }

    private func bearer(_ token: String) -> ConnectRequest {
        var request = ConnectRequest(tenant: "default", runs: WorkflowRuns(store: MemoryStore(), tenant: "default"))
        request.bearerToken = token
        return request
    }
}

/// Made here rather than by the library that checks them.
private func token(
    _ payload: String, header: String = #"{"alg":"HS256","typ":"JWT"}"#,
    secret: String = "2b7e151628aed2a6abf7158809cf4f3c"
) -> String {
    let signed = base64URL(Data(header.utf8)) + "." + base64URL(Data(payload.utf8))
    let key = SymmetricKey(data: Data(secret.utf8))
    return Leaks.token(
        signed + "." + base64URL(Data(HMAC<SHA256>.authenticationCode(for: Data(signed.utf8), using: key))))
}

private func unsigned(_ header: String) -> String {
    base64URL(Data(header.utf8)) + "." + base64URL(Data(#"{"sub":"7","exp":1000060}"#.utf8)) + "."
}

private func base64URL(_ data: Data) -> String {
    data.base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
        .replacingOccurrences(of: "=", with: "")
}
