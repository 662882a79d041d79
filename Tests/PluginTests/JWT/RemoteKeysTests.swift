import Crypto
import Foundation
import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import JWTAuth
@testable import OutboundHTTP

/// When the issuer is asked, and what happens while it does not answer. Time is virtual.
@Suite("Key sets that are fetched")
struct RemoteKeysTests {
    @Test("the set is fetched at the start, and again each quarter of an hour, whether anybody calls or not")
    func refreshes() async throws {
        let issuer = FakeIssuer([TokenSigner.generation(1)])
        let auth = try JWTAuth.believing(issuer)
        #expect(issuer.count == 0)
        try await auth.start()
        #expect(issuer.count == 1)
        await issuer.time.settle()
        for hour in 1...4 {
            for _ in 0..<60 {
                issuer.time.advance(by: .seconds(60))
                await issuer.time.settle()
            }
            // Each time a little early, by a tenth at most; minutes are the smallest step here.
            #expect((4 * hour...5 * hour).contains(issuer.count - 1))
        }
        await auth.stop()
        let count = issuer.count
        issuer.time.advance(by: .seconds(86_400))
        #expect(issuer.count == count)
    }

    @Test("who never started it is served all the same, and stops it twice")
    func withoutStart() async throws {
        let signer = TokenSigner.generation(1)
        let auth = try JWTAuth.believing(FakeIssuer([signer]))
        #expect(try await auth.accepts(signer.tokenByName()))
        await auth.stop()
        await auth.stop()
    }

    @Test("ten minutes in which the issuer does not answer are noticed by nobody who has a key of before")
    func outage() async throws {
        let signer = TokenSigner.generation(1)
        let issuer = FakeIssuer([signer])
        let auth = try JWTAuth.believing(issuer) { $0.jwksRefresh = .seconds(300) }
        try await auth.start()
        issuer.time.advance(by: .seconds(300))
        await issuer.time.settle()
        let before = issuer.count
        issuer.fail()
        let token = try signer.tokenByName()
        for _ in 0..<600 {
            issuer.time.advance(by: .seconds(1))
            await issuer.time.settle()
            #expect(try await auth.accepts(token))
        }
        // It was tried all the time, but not in haste: twice a minute from when the set is due.
        #expect((8...25).contains(issuer.count - before))

        issuer.publish([signer])
        let during = issuer.count
        issuer.time.advance(by: .seconds(31))
        await issuer.time.settle()
        #expect(issuer.count == during + 1)
        #expect(try await auth.accepts(token))
        await auth.stop()
    }

    @Test("keys are good for a day without the issuer, and then nobody can tell")
    func tooOld() async throws {
        let signer = TokenSigner.generation(1)
        let issuer = FakeIssuer([signer])
        let auth = try JWTAuth.believing(issuer)
        let token = try signer.tokenByName()
        #expect(try await auth.accepts(token))
        issuer.fail()
        issuer.time.advance(by: .seconds(86_399))
        #expect(try await auth.accepts(token))
        issuer.time.advance(by: .seconds(1))
        await #expect(throws: KeySetUnavailable.self) { try await auth.accepts(token) }
        issuer.publish([signer])
        issuer.time.advance(by: .seconds(5))
        #expect(try await auth.accepts(token))
    }

    @Test("a start without the issuer succeeds; sign-ins do as soon as it is there")
    func lateIssuer() async throws {
        let signer = TokenSigner.generation(1)
        let issuer = FakeIssuer()
        issuer.fail()
        let auth = try JWTAuth.believing(issuer)
        try await auth.start()
        let token = try signer.tokenByName()
        let error = await #expect(throws: KeySetUnavailable.self) { try await auth.accepts(token) }
        #expect(error?.description.contains("https://issuer.example") == true)
        #expect(error?.description.contains("nobody is there") == true)
        #expect(error.map { token.contains($0.description) } == false)
        // Nobody else makes it ask again at once.
        #expect(issuer.count == 1)
        issuer.publish([signer])
        await issuer.time.settle()
        issuer.time.advance(by: .seconds(5))
        await issuer.time.settle()
        #expect(try await auth.accepts(token))
        await auth.stop()
    }

    @Test("an instance that takes another's place while the issuer is away has its keys, no younger than they are")
    func handedOn() async throws {
        let signer = TokenSigner.generation(1)
        let issuer = FakeIssuer([signer, TokenSigner.p384(TokenSigner.p384Key)])
        var former: JWTAuth? = try JWTAuth.believing(issuer)
        try await former?.start()
        issuer.fail()
        issuer.time.advance(by: .seconds(80_000))
        let (token, other) = (try signer.tokenByName(), try TokenSigner.of("ES384").token(TokenSigner.farPayload))
        let changed = try JWTAuth.believing(issuer) { $0.leeway = .seconds(10) }
        try await changed.start()
        await former?.stop()
        former = nil
        #expect(try await changed.accepts(token))

        // Each reads the set by its own settings.
        let narrower = try JWTAuth.believing(issuer) { $0.algorithms = [.es384] }
        try await narrower.start()
        #expect(try await narrower.accepts(other))
        #expect(try await !narrower.accepts(token))
        // Who believes another issuer has none of it.
        let elsewhere = try JWTAuth.believing(issuer) { $0.jwks = "https://issuer.example/other-keys" }
        try await elsewhere.start()
        await #expect(throws: KeySetUnavailable.self) { try await elsewhere.accepts(token) }

        issuer.time.advance(by: .seconds(6_400))
        await #expect(throws: KeySetUnavailable.self) { try await changed.accepts(token) }
        for auth in [changed, narrower, elsewhere] { await auth.stop() }
    }

    @Test("keys are handed on for as long as somebody has them, and never older ones in place of newer")
    func forgotten() throws {
        let memory = KeySetMemory()
        let endpoint = try HTTPEndpoint("https://issuer.example/keys")
        let set = memory.set(of: endpoint)
        set.keep([1], fetched: .seconds(1))
        memory.set(of: endpoint).keep([0], fetched: .zero)
        withExtendedLifetime(set) { #expect(memory.set(of: endpoint).fetched?.document == [1]) }
        #expect(memory.set(of: try HTTPEndpoint("https://issuer.example/others")).fetched == nil)
    }

    @Test("keys that nobody has any more are forgotten")
    func released() throws {
        let memory = KeySetMemory()
        let endpoint = try HTTPEndpoint("https://issuer.example/keys")
        memory.set(of: endpoint).keep([1], fetched: .zero)
        #expect(memory.set(of: endpoint).fetched == nil)
    }

    @Test("a token that is no good in any case has nothing fetched")
    func nothingFetched() async throws {
        let signer = TokenSigner.generation(1)
        let issuer = FakeIssuer([signer])
        let auth = try JWTAuth.believing(issuer) { settings in
            settings.algorithms = [.es256]
            settings.issuer = "us"
        }
        let tokens = [
            try signer.token(#"{"sub":"7","exp":999000,"iss":"us"}"#), try signer.token(TokenSigner.farPayload),
            try signer.signed(header: #"{"alg":"RS256"}"#, payload: #"{"sub":"7","exp":9999999,"iss":"us"}"#),
            try signer.signed(header: #"{"alg":"HS256"}"#, payload: #"{"sub":"7","exp":9999999,"iss":"us"}"#), "a.b.c",
        ]
        for token in tokens { #expect(try await !auth.accepts(token)) }
        #expect(issuer.count == 0)
    }

    @Test(
        "an answer that is no set changes nothing",
        arguments: [
            "", "<html>502 Bad Gateway</html>", "[]", "{}", #"{"keys":{}}"#, #"{"keys":["#, "null",
            #"{"keys":["# + Array(repeating: "{}", count: 33).joined(separator: ",") + "]}",
            #"{"keys":[]}"# + String(repeating: " ", count: 65_536),
        ])
    func nonsense(document: String) async throws {
        let signer = TokenSigner.generation(1)
        let issuer = FakeIssuer([signer])
        let auth = try JWTAuth.believing(issuer)
        try await auth.start()
        await issuer.time.settle()
        issuer.publish(document: document)
        issuer.time.advance(by: .seconds(900))
        await issuer.time.settle()
        #expect(issuer.count == 2)
        #expect(try await auth.accepts(signer.tokenByName()))
        await auth.stop()
    }

    @Test("keys without a name are tried, and so are all when the token names none")
    func withoutNames() async throws {
        let (one, other) = (TokenSigner.p256(P256.Signing.PrivateKey()), TokenSigner.generation(2))
        let auth = try JWTAuth.believing(FakeIssuer([one, other]))
        #expect(try await auth.accepts(one.token(TokenSigner.farPayload)))
        #expect(try await auth.accepts(other.token(TokenSigner.farPayload)))
        #expect(try await auth.accepts(one.token(TokenSigner.farPayload, header: #","kid":"any""#)))
        #expect(try await !auth.accepts(other.token(TokenSigner.farPayload, header: #","kid":"any""#)))
    }

    @Test("a secret, keys in files and a key set stand beside each other, each for its own algorithms")
    func together() async throws {
        let signers = ["HS256", "ES256"].compactMap { try? TokenSigner.of($0) }
        let issuer = FakeIssuer([TokenSigner.p384(TokenSigner.p384Key)])
        let auth = try JWTAuth.believing(issuer) { settings in
            settings.secret = Secret(TokenSigner.secret)
        }
        #expect(try await auth.accepts(signers[0].token(TokenSigner.farPayload)))
        #expect(issuer.count == 0)
        #expect(try await auth.accepts(TokenSigner.of("ES384").token(TokenSigner.farPayload)))
        #expect(try await !auth.accepts(signers[1].token(TokenSigner.farPayload)))
    }
}
