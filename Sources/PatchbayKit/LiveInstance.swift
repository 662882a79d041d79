import PatchbayConfig
import PatchbayPlugin
import Synchronization

/// One instance of a plugin, from `init` to `stop`. Configurations that follow one another share those that are the
/// same in both; nobody stops one that is still in use.
///
/// It is in use as long as somebody holds it: the configuration that is served, and each call or socket that began under
/// an earlier one. When the last lets go it stops by itself.
final class LiveInstance: Sendable {
    private enum State {
        case made, started, stopped
    }

    let kind: PluginKind
    let name: String
    let plugin: any Plugin
    /// What it was made of.
    let fingerprint: Fingerprint
    /// Those that it uses, which must outlive it.
    let stores: [LiveInstance]
    private let state = Mutex(State.made)

    init(
        kind: PluginKind, name: String, plugin: any Plugin, fingerprint: Fingerprint, stores: [LiveInstance]
    ) {
        self.kind = kind
        self.name = name
        self.plugin = plugin
        self.fingerprint = fingerprint
        self.stores = stores
    }

    deinit {
        guard state.withLock(\.self) == .started else { return }
        Task { [plugin, stores] in
            await plugin.stop()
            // Not before.
            withExtendedLifetime(stores) {}
        }
    }

    /// `auth.users`, as it is found in the file.
    var label: String { "\(kind.section).\(name)" }

    /// Whether it is what an instance with this fingerprint and these stores would be.
    func isSame(as fingerprint: Fingerprint, with stores: [LiveInstance]) -> Bool {
        self.fingerprint == fingerprint && self.stores.elementsEqual(stores, by: ===)
    }

    /// - Parameter patience: how long it may take, and to stop when it cannot.
    /// - Returns: whether it was not started before.
    /// - Throws: why it cannot; it is stopped then.
    func start(within patience: Duration) async throws(StartFailure) -> Bool {
        guard state.withLock(\.self) == .made else { return false }
        do {
            try await within(patience) { [plugin] in try await plugin.start() }
        } catch {
            // What was begun may hold something. A task of its own: who is cancelled would not wait.
            await Task { [plugin] in _ = try? await within(patience) { await plugin.stop() } }.value
            throw StartFailure(instance: label, reason: "\(error)")
        }
        state.withLock { $0 = .started }
        return true
    }

    /// Once.
    func stop() async {
        let wasStarted = state.withLock { state in
            defer { state = .stopped }
            return state == .started
        }
        if wasStarted { await plugin.stop() }
    }
}

/// An instance that could not start.
struct StartFailure: Error, CustomStringConvertible {
    var instance: String
    var reason: String

    var description: String { "\(instance) could not start: \(reason)" }
}

/// All instances of a configuration that could not start; at least one.
struct StartFailures: Error, CustomStringConvertible {
    var failures: [StartFailure]

    var description: String { failures.map(\.description).joined(separator: "; ") }
}
