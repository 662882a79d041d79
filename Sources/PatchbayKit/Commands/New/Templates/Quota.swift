import PatchbayPlugin
import Synchronization

/// Lets each caller have a number of calls at the same time. Each gateway counts for itself.
final class MyPlugin: QuotaPlugin {
    static let type = "my_plugin"
    static let summary = "Limits how many calls each caller has at the same time."
    static let timing = QuotaTiming.newCall

    struct Settings: PluginSettings {
        @Field("How many calls each caller may have at the same time", in: 1...1000) var limit: Int = 1
        @Field("How long each of them may last; as long as it likes unless this is set") var longest: Duration?
    }

    private let settings: Settings
    /// Whose each call is, by the call's id.
    private let calls = Mutex<[String: String]>([:])

    init(settings: Settings, context: PluginContext) {
        self.settings = settings
    }

    func admit(_ request: CallRequest) async throws -> QuotaOutcome {
        let caller = "\(request.tenant)/\(request.principal.id)"
        let hasRoom = calls.withLock { calls in
            // A call that asks again has its place already.
            guard calls[request.callID] != nil || calls.values.count(where: { $0 == caller }) < settings.limit else {
                return false
            }
            calls[request.callID] = caller
            return true
        }
        guard hasRoom else {
            return .deny(Denial(code: "too_many_calls", message: "No more than \(settings.limit) at the same time"))
        }
        return .admit(Lease(id: request.callID, maximumDuration: settings.longest))
    }

    func release(_ lease: Lease, usage: CallUsage) async {
        calls.withLock { $0[lease.id] = nil }
    }
}
