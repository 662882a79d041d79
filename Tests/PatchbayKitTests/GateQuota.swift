import PatchbayPlugin
import Synchronization

@testable import PatchbayKit

/// When a ``GateQuota`` is asked.
protocol Moment {
    static var timing: QuotaTiming { get }
}

enum AtEveryOffer: Moment {
    static let timing = QuotaTiming.everyOffer
}

enum AtNewCall: Moment {
    static let timing = QuotaTiming.newCall
}

/// A quota with a limit that the test moves, and an account of who holds what.
final class GateQuota<When: Moment>: QuotaPlugin {
    static var type: String { "gate" }
    static var summary: String { "Does what a test says." }
    static var timing: QuotaTiming { When.timing }

    enum Mood: Sendable {
        case admits, denies, cannotTell
    }

    private struct State {
        var mood = Mood.admits
        var limit = Int.max
        var held: Set<String> = []
        var asked = 0
        var onAsk: @Sendable () async -> Void = {}
    }

    private let state = Mutex(State())

    init() {}

    init(settings: NoSettings, context: PluginContext) {}

    /// The calls that have a lease.
    var held: Set<String> { state.withLock { $0.held } }
    var asked: Int { state.withLock { $0.asked } }

    func set(_ mood: Mood) {
        state.withLock { $0.mood = mood }
    }

    func set(limit: Int) {
        state.withLock { $0.limit = limit }
    }

    /// Runs at each question, before the answer.
    func onAsk(_ body: @escaping @Sendable () async -> Void) {
        state.withLock { $0.onAsk = body }
    }

    func admit(_ request: CallRequest) async throws -> QuotaOutcome {
        await state.withLock { $0.onAsk }()
        return try state.withLock { state in
            state.asked += 1
            switch state.mood {
            case .cannotTell: throw CallerError("unreachable")
            case .denies: return .deny(Denial(code: "quota_exceeded", message: "No credits left"))
            case .admits: break
            }
            guard state.held.contains(request.callID) || state.held.count < state.limit else {
                return .deny(Denial(code: "concurrency_limit_exceeded", message: "Concurrent call limit reached"))
            }
            state.held.insert(request.callID)
            return .admit(Lease(id: request.callID))
        }
    }

    func release(_ lease: Lease, usage: CallUsage) async {
        state.withLock { _ = $0.held.remove(lease.id) }
    }
}
