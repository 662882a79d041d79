import PatchbayConfig
import PatchbayPlugin

extension Deployment {
    /// Starts every instance, stores first, and stops them in reverse, to see whether it could be served here and now.
    ///
    /// - Parameter patience: how long one instance may take to start, and to stop.
    /// - Returns: every instance that could not, and why, in the order in which that was found out.
    func rehearse(patience: Duration) async -> [(instance: LiveInstance, reason: String)] {
        var failures: [(instance: LiveInstance, reason: String)] = []
        var started: [LiveInstance] = []
        for instance in instances {
            let missing = instance.stores.filter { store in failures.contains { $0.instance === store } }
            if let store = missing.first {
                failures.append((instance, "not tried: \(store.label) could not start"))
                continue
            }
            do {
                _ = try await within(patience) { try await instance.start() }
                started.append(instance)
            } catch let failure as StartFailure {
                failures.append((instance, "could not start: \(failure.reason)"))
            } catch {
                failures.append((instance, "could not start: \(error)"))
                // What was begun may hold something.
                try? await within(patience) { await instance.plugin.stop() }
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
