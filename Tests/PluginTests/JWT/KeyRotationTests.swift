import Crypto
import Foundation
import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import JWTAuth

/// Many callers at once, with keys that are new, taken back or made up. Time is virtual.
@Suite("Key sets that change")
struct KeyRotationTests {
    @Test("of all who wait for the same keys one fetches them")
    func singleFlight() async throws {
        let signer = TokenSigner.generation(1)
        let issuer = FakeIssuer([signer])
        issuer.hold()
        let auth = try JWTAuth.believing(issuer)
        let token = try signer.tokenByName()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<100 { group.addTask { try await auth.accepts(token) } }
            while issuer.waiting == 0 { await Task.yield() }
            // Time for the others to get there, too.
            for _ in 0..<1000 { await Task.yield() }
            #expect(issuer.count == 1)
            issuer.letGo()
            for try await accepted in group { #expect(accepted) }
        }
        #expect(issuer.count == 1)
    }

    @Test("one who leaves while it is fetched takes nothing from those who stay")
    func cancelled() async throws {
        let signer = TokenSigner.generation(1)
        let issuer = FakeIssuer([signer])
        issuer.hold()
        let auth = try JWTAuth.believing(issuer)
        let token = try signer.tokenByName()
        let first = Task { try await auth.accepts(token) }
        while issuer.waiting == 0 { await Task.yield() }
        let second = Task { try await auth.accepts(token) }
        first.cancel()
        issuer.letGo()
        #expect(try await second.value)
        #expect(issuer.count == 1)
    }

    @Test("a slow issuer keeps nobody waiting whose key is known")
    func slow() async throws {
        let (known, new) = (TokenSigner.generation(1), TokenSigner.generation(2))
        let issuer = FakeIssuer([known])
        let auth = try JWTAuth.believing(issuer)
        #expect(try await auth.accepts(known.tokenByName()))
        issuer.publish([known, new])
        issuer.hold()
        issuer.time.advance(by: .seconds(31))
        let newcomer = Task { try await auth.accepts(new.tokenByName()) }
        while issuer.waiting == 0 { await Task.yield() }
        for _ in 0..<100 { #expect(try await auth.accepts(known.tokenByName())) }
        #expect(issuer.waiting == 1)
        issuer.letGo()
        #expect(try await newcomer.value)
    }

    @Test("a set that was asked for too early is asked for again, by one for all who wait")
    func tooEarly() async throws {
        let (known, new) = (TokenSigner.generation(1), TokenSigner.generation(2))
        let issuer = FakeIssuer([known])
        let auth = try JWTAuth.believing(issuer)
        #expect(try await auth.accepts(known.tokenByName()))
        issuer.time.advance(by: .seconds(31))
        issuer.hold()
        let early = Task { try await auth.accepts(TokenSigner.generation(3).tokenByName()) }
        while issuer.waiting == 0 { await Task.yield() }
        issuer.publish([known, new])
        issuer.time.advance(by: .seconds(31))
        let token = try new.tokenByName()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 { group.addTask { try await auth.accepts(token) } }
            for _ in 0..<1000 { await Task.yield() }
            issuer.letGo()
            for try await accepted in group { #expect(accepted) }
        }
        #expect(try await !early.value)
        #expect(issuer.count == 3)
    }

    @Test("keys that nobody knows have the set fetched once in half a minute, however many they are")
    func unknownKeys() async throws {
        let signer = TokenSigner.generation(1)
        let issuer = FakeIssuer([signer])
        let auth = try JWTAuth.believing(issuer)
        try await auth.start()
        await issuer.time.settle()
        let forger = TokenSigner.generation(2)
        for second in 0..<120 {
            for each in 0..<10 {
                let token = try forger.token(TokenSigner.farPayload, header: #","kid":"made-up-\#(second)-\#(each)""#)
                #expect(try await auth.outcome(token).denial == .invalidToken)
            }
            #expect(try await auth.accepts(signer.tokenByName()))
            issuer.time.advance(by: .seconds(1))
        }
        #expect(issuer.count == 1 + 4)
        await auth.stop()
    }

    @Test("a key that somebody has made up keeps a new one waiting, until the set may be fetched again")
    func newKeyBehindMadeUpOne() async throws {
        let (known, new) = (TokenSigner.generation(1), TokenSigner.generation(2))
        let issuer = FakeIssuer([known])
        let auth = try JWTAuth.believing(issuer)
        #expect(try await auth.accepts(known.tokenByName()))
        issuer.time.advance(by: .seconds(31))
        #expect(try await !auth.accepts(TokenSigner.generation(3).tokenByName()))
        issuer.publish([known, new])
        let token = try new.tokenByName()
        for _ in 0..<29 {
            issuer.time.advance(by: .seconds(1))
            #expect(try await auth.outcome(token).denial == .invalidToken)
            #expect(try await auth.accepts(known.tokenByName()))
        }
        #expect(issuer.count == 2)
        issuer.time.advance(by: .seconds(1))
        #expect(try await auth.accepts(token))
        #expect(issuer.count == 3)
    }

    @Test("a token that names no key has no set fetched: a new key's is good from the next time on that it is")
    func newKeyWithoutName() async throws {
        let (known, new) = (TokenSigner.generation(1), TokenSigner.generation(2))
        let issuer = FakeIssuer([known])
        let auth = try JWTAuth.believing(issuer)
        try await auth.start()
        await issuer.time.settle()
        issuer.publish([known, new])
        let token = try new.token(TokenSigner.farPayload)
        for _ in 0..<10 {
            issuer.time.advance(by: .seconds(60))
            #expect(try await auth.outcome(token).denial == .invalidToken)
        }
        #expect(issuer.count == 1)
        issuer.time.advance(by: .seconds(300))
        await issuer.time.settle()
        #expect(issuer.count == 2)
        #expect(try await auth.accepts(token))
        await auth.stop()
    }

    @Test("while the issuer is away, a key that nobody knows may be a new one: nobody can tell")
    func unknownWhileAway() async throws {
        let signer = TokenSigner.generation(1)
        let issuer = FakeIssuer([signer])
        let auth = try JWTAuth.believing(issuer)
        #expect(try await auth.accepts(signer.tokenByName()))
        issuer.fail()
        issuer.time.advance(by: .seconds(31))
        let new = try TokenSigner.generation(2).tokenByName()
        await #expect(throws: KeySetUnavailable.self) { try await auth.accepts(new) }
        await #expect(throws: KeySetUnavailable.self) { try await auth.accepts(new) }
        #expect(issuer.count == 2)
        // A signature that is wrong is wrong all the same.
        let forged = try TokenSigner.generation(3).token(TokenSigner.farPayload, header: #","kid":"key-1""#)
        #expect(try await auth.outcome(forged).denial == .invalidToken)
    }

    @Test("an issuer that changes its key while callers come loses none of them")
    func rotation() async throws {
        var (old, new) = (TokenSigner.generation(0), TokenSigner.generation(1))
        let issuer = FakeIssuer([old])
        let auth = try JWTAuth.believing(issuer)
        #expect(try await auth.accepts(old.tokenByName()))
        for number in 2...12 {
            issuer.time.advance(by: .seconds(31))
            issuer.publish([old, new])
            let before = issuer.count
            let tokens = [try old.tokenByName(), try new.tokenByName()]
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for caller in 0..<60 { group.addTask { try await auth.accepts(tokens[caller % 2]) } }
                for try await accepted in group { #expect(accepted) }
            }
            #expect(issuer.count == before + 1)
            (old, new) = (new, TokenSigner.generation(number))
        }
    }

    @Test("a key that the issuer takes back is no longer good once the set was fetched")
    func revocation() async throws {
        let (lost, kept) = (TokenSigner.generation(1), TokenSigner.generation(2))
        let issuer = FakeIssuer([lost, kept])
        let auth = try JWTAuth.believing(issuer)
        try await auth.start()
        await issuer.time.settle()
        #expect(try await auth.accepts(lost.tokenByName()))
        issuer.publish([kept])
        issuer.time.advance(by: .seconds(900))
        await issuer.time.settle()
        #expect(try await auth.outcome(lost.tokenByName()).denial == .invalidToken)
        #expect(try await auth.accepts(kept.tokenByName()))
        // All of them, even.
        issuer.publish([TokenSigner]())
        issuer.time.advance(by: .seconds(900))
        await issuer.time.settle()
        #expect(try await auth.outcome(kept.tokenByName()).denial == .invalidToken)
        await auth.stop()
    }
}
