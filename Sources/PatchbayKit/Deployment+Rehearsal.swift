import PatchbayConfig
import PatchbayPlugin

extension Deployment {
    /// Starts every instance, stores first, has it try what it can do without, and stops them in reverse: to see whether it
    /// could be served here and now.
    ///
    /// - Parameter patience: how long one instance may take to start, to try things, and to stop.
    /// - Returns: every instance that could not, and why, in the order in which that was found out.
    func rehearse(patience: Duration) async -> [(instance: LiveInstance, reason: String)] {
        var failures: [(instance: LiveInstance, reason: String)] = []
        var started: [LiveInstance] = []
        for instance in instances {
            let missing = instance.stores.filter { store in !started.contains { $0 === store } }
            if let store = missing.first {
                failures.append((instance, "not tried: \(store.label) could not start"))
                continue
            }
            do {
                _ = try await instance.start(within: patience)
                started.append(instance)
            } catch {
                failures.append((instance, "could not start: \(error.reason)"))
                continue
            }
            do {
                try await within(patience) { try await instance.plugin.verify() }
            } catch {
                failures.append((instance, "starts, and is of no use: \(error)"))
            }
        }
        for instance in started.reversed() {
            do {
                try await within(patience) { await instance.stop() }
            } catch {
                failures.append((instance, "could not stop: \(error)"))
            }
        }
        return failures
    }
}
