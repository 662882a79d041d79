import Foundation
import PatchbayPlugin
import PatchbayTesting
import Synchronization
import TestSupport

@testable import JWTAuth
@testable import OutboundHTTP

/// Time that goes on when the test says so: what waits for it is woken then, and no sooner.
final class VirtualTime: Sendable {
    private struct State {
        var now = Duration.zero
        var sleepers: [Int: (until: Duration, wake: CheckedContinuation<Void, any Error>)] = [:]
        var cancelled: Set<Int> = []
        var count = 0
    }

    private let state = Mutex(State())

    var now: Duration { state.withLock { $0.now } }

    /// Since 1970, as the tokens of these tests have it.
    var wallClock: Duration { .seconds(1_000_000) + now }

    func pause(_ duration: Duration) async throws {
        let id = state.withLock { state in
            state.count += 1
            return state.count
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return true }
                    state.sleepers[id] = (state.now + duration, continuation)
                    return false
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                let sleeper = state.sleepers.removeValue(forKey: id)
                if sleeper == nil { state.cancelled.insert(id) }
                return sleeper
            }
            sleeper?.wake.resume(throwing: CancellationError())
        }
    }

    func advance(by duration: Duration) {
        let woken = state.withLock { state in
            state.now += duration
            let woken = state.sleepers.filter { $0.value.until <= state.now }
            for id in woken.keys { state.sleepers[id] = nil }
            return woken.values.map(\.wake)
        }
        for wake in woken { wake.resume() }
    }

    /// Waits until somebody waits for time again.
    func settle() async {
        while state.withLock({ $0.sleepers.isEmpty }) { await Task.yield() }
    }
}

/// An issuer whose key set is fetched without a network.
final class FakeIssuer: Sendable {
    private struct State {
        var reply: Result<[UInt8], any Error> = .success([])
        var count = 0
        var held: [CheckedContinuation<Void, Never>]?
    }

    struct Away: Error, CustomStringConvertible {
        var description: String { "nobody is there" }
    }

    let time = VirtualTime()
    private let memory = KeySetMemory()
    private let state = Mutex(State())

    /// How often it was asked.
    var count: Int { state.withLock { $0.count } }
    /// How many wait for its answer.
    var waiting: Int { state.withLock { $0.held?.count ?? 0 } }

    init(_ signers: [TokenSigner] = []) {
        publish(signers)
    }

    func publish(_ signers: [TokenSigner]) {
        publish(keys: signers.map(\.jwk))
    }

    func publish(keys: [[String: JSONValue]]) {
        publish(document: JSONValue.object(["keys": .array(keys.map(JSONValue.object))]).description)
    }

    func publish(document: String) {
        state.withLock { $0.reply = .success(Array(document.utf8)) }
    }

    /// It does not answer from now on.
    func fail() {
        state.withLock { $0.reply = .failure(Away()) }
    }

    /// It answers from now on when it is let go.
    func hold() {
        state.withLock { $0.held = [] }
    }

    func letGo() {
        let held = state.withLock { state in
            let held = state.held
            state.held = nil
            return held ?? []
        }
        for each in held { each.resume() }
    }

    var access: KeySetAccess {
        KeySetAccess(
            fetch: { _ in try await self.answer() }, now: { self.time.now },
            pause: { try await self.time.pause($0) }, memory: memory)
    }

    /// What was published when it was asked, however late it answers.
    private func answer() async throws -> [UInt8] {
        let reply = state.withLock { state in
            state.count += 1
            return state.reply
        }
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                state.held?.append(continuation)
                return state.held != nil
            }
            if !isHeld { continuation.resume() }
        }
        return try reply.get()
    }
}

extension JWTAuth {
    /// An instance that believes an issuer, and what else the settings say.
    static func believing(_ issuer: FakeIssuer, _ change: (inout Settings) -> Void = { _ in }) throws -> JWTAuth {
        var settings = Settings()
        settings.jwks = "https://issuer.example/keys"
        change(&settings)
        let context = PluginContext(name: "users", logger: .watched, wallClock: { issuer.time.wallClock })
        return try JWTAuth(settings: settings, context: context, access: issuer.access)
    }

    /// One that believes some keys, and the shared secret where an algorithm takes one.
    static func believing(
        _ signers: [TokenSigner], _ change: (inout Settings) -> Void = { _ in }
    ) throws -> JWTAuth {
        let algorithms = signers.compactMap { Algorithm(rawValue: $0.algorithm) }
        return try believing(FakeIssuer(signers.filter { !$0.jwk.isEmpty })) { settings in
            settings.algorithms = algorithms
            if algorithms.contains(where: \.isSymmetric) { settings.secret = Secret(TokenSigner.secret) }
            if algorithms.allSatisfy(\.isSymmetric) { settings.jwks = nil }
            change(&settings)
        }
    }

    /// What comes of a bearer token.
    func outcome(_ token: String) async throws -> AuthOutcome {
        var request = ConnectRequest(tenant: "default", runs: WorkflowRuns(store: MemoryStore(), tenant: "default"))
        request.bearerToken = token
        return try await authenticate(request)
    }

    /// Whether a token is good.
    func accepts(_ token: String) async throws -> Bool {
        try await outcome(token).principal != nil
    }
}

extension Denial {
    /// The one answer to any token that is not good.
    static let invalidToken = Denial(code: "invalid_token", message: "Invalid or expired token")
}
