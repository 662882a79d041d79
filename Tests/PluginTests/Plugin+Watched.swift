import PatchbayPlugin
import PatchbayTesting
import TestSupport

extension Plugin {
    /// `configured`, with a log that may have no secret in it, those of `environment` among them.
    static func watched(
        _ yaml: String = "", environment: [String: String] = [:], stores: [String: any StorePlugin] = [:],
        clock: TestClock = TestClock()
    ) throws -> Self {
        for (variable, value) in environment { Leaks.secret("what is in $\(variable)", value) }
        return try configured(yaml, environment: environment, stores: stores, clock: clock, logger: .watched)
    }
}
