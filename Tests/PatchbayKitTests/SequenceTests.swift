import Foundation
import PatchbayPlugin
import Synchronization
import TestSupport
import Testing

@testable import PatchbayKit

/// Two users of one tenant, who have the same run id and the same names for their connections, send what comes into their
/// heads.
@Suite("Random sequences of messages")
struct SequenceTests {
    private static let users = ["7", "8"]
    private static let longest = 32

    @Test("have the replies of the model, leave nothing behind, and nobody hears of another")
    func sequences() async {
        let environment = ProcessInfo.processInfo.environment
        let seeds: ClosedRange<UInt64> =
            if let seed = environment["PATCHBAY_SEED"].flatMap({ UInt64($0) }) { seed...seed } else {
                1...max(1, environment["PATCHBAY_SEQUENCES"].flatMap { UInt64($0) } ?? 2_000)
            }
        let workers = UInt64(environment["PATCHBAY_SEED"] == nil ? ProcessInfo.processInfo.activeProcessorCount : 1)
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<workers {
                group.addTask {
                    for seed in stride(from: seeds.lowerBound + worker, through: seeds.upperBound, by: Int(workers)) {
                        guard let fault = await Self.fault(seed) else { continue }
                        Issue.record("\(fault); again: PATCHBAY_SEED=\(seed) swift test --filter SequenceTests")
                        return
                    }
                }
            }
        }
    }

    /// What is wrong with the sequence of this seed; nil when nothing is.
    private static func fault(_ seed: UInt64) async -> String? {
        var generator = Seeded(seed)
        let steps = (0..<Int(generator.next() % UInt64(longest)) + 1).map { _ in
            (user: Int(generator.next() % 2), step: Step.random(&generator))
        }
        do {
            let together = World()
            let replies: [[[Sent]]]
            if seed % 4 > 0 {
                replies = try await play(steps, in: together)
            } else {
                // The users do not wait for each other.
                async let first = play(steps.filter { $0.user == 0 }, in: together, isAlone: false)
                async let second = play(steps.filter { $0.user == 1 }, in: together, isAlone: false)
                replies = [try await first[0], try await second[1]]
            }
            try await check(together)
            for user in users.indices {
                let alone = World()
                let mine = steps.filter { $0.user == user }
                let quiet = try await play(mine, in: alone)[user]
                guard quiet == replies[user] else { return "user \(users[user]) heard something else alone" }
                try await check(alone)
            }
            return nil
        } catch {
            return "\(error)"
        }
    }

    private static func check(_ world: World) async throws {
        let left = try await world.leftovers(users: users, runs: [SequenceModel.runID])
        if !left.isEmpty { throw CallerError("left behind: \(left)") }
    }

    /// Plays the steps one after another, and ends both sockets.
    ///
    /// - Parameter isAlone: nobody else has calls in this world, so that they can be counted.
    /// - Returns: what each user heard at each of its steps.
    private static func play(
        _ steps: [(user: Int, step: Step)], in world: World, isAlone: Bool = true
    ) async throws -> [[[Sent]]] {
        var models = users.map { _ in SequenceModel() }
        var sockets: [TestSocket?] = users.map { _ in nil }
        var heard: [[[Sent]]] = users.map { _ in [] }
        let active = Set(steps.map(\.user))
        func play(_ user: Int, _ step: Step) async throws {
            let socket: TestSocket
            if let open = sockets[user] {
                socket = open
            } else {
                socket = await world.socket(user: users[user], run: SequenceModel.runID)
            }
            let hadCall = models[user].calls == 1
            let expected = models[user].expect(step)
            var reply: [Sent] = []
            if let message = step.message {
                reply = await socket.send(message)
            } else if case .hangUp = step, hadCall {
                try await hangUp(users[user], in: world)
                try await wait { socket.sent.count == expected.count && world.names(of: users[user]).isEmpty }
                reply = socket.take()
            }
            switch step {
            case .losing:
                reply += await socket.close(code: 1006)
                sockets[user] = nil
            case .closing, .hangUp, .malformed:
                // As the server does it: once we close, or the client has, no message comes through.
                reply += await socket.close()
                sockets[user] = nil
            case .offer, .renegotiation, .halfOffer, .offerOfType, .question, .silent: sockets[user] = socket
            }
            reply = reply.map(\.withoutReason)
            heard[user].append(reply)
            if reply != expected {
                throw CallerError("user \(users[user]), \(step): heard \(reply), expected \(expected)")
            }
            let calls = models.reduce(0) { $0 + $1.calls }
            if isAlone, (world.media.load, world.leases) != (calls, 2 * calls) {
                throw CallerError("\(step): \(calls) calls, \(world.media.load) connections, \(world.leases) leases")
            }
        }
        for (user, step) in steps { try await play(user, step) }
        for user in active {
            if let pcID = models[user].awaited { try await play(user, .question(pcID)) }
            try await play(user, .closing)
        }
        return heard
    }

    /// Hangs up from the pipeline of the user's call, which may not have begun yet.
    private static func hangUp(_ user: String, in world: World) async throws {
        try await wait { world.pipelines.calls.withLock { $0[user] } != nil }
        world.pipelines.calls.withLock { $0.removeValue(forKey: user) }?.hangUp(reason: "hung up")
    }

    private static func wait(_ condition: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while !condition() {
            if ContinuousClock.now > end { throw CallerError("nothing happened for a minute") }
            await Task.yield()
        }
    }
}

extension Sent {
    /// What is wrong with a malformed message is said in words that are no part of the wire.
    fileprivate var withoutReason: Sent {
        guard case .message(let json) = self,
            json["payload"]?["message"]?.string?.hasPrefix("Malformed message: ") == true
        else { return self }
        return .error("Malformed message: …")
    }
}
