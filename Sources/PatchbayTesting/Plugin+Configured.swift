public import Logging
internal import PatchbayConfig
public import PatchbayPlugin

extension Plugin {
    /// Makes an instance as the gateway would, from what stands below its `type:` in the configuration.
    ///
    /// - Parameters:
    ///   - yaml: the settings, for example `{ pause: 200ms }`.
    ///   - environment: variables for secrets and `${NAME}`.
    ///   - stores: what the settings may name as stores.
    ///   - clock: the instance's wall clock.
    ///   - logger: the instance's; unless it is given, nothing is written.
    /// - Throws: the faults in the settings, which describe themselves as `patchbay check` prints them, or what `init`
    ///   throws.
    public static func configured(
        _ yaml: String = "", environment: [String: String] = [:], stores: [String: any StorePlugin] = [:],
        clock: TestClock = TestClock(),
        logger: Logger = Logger(label: "patchbay.test", factory: { _ in SwiftLogNoOpLogHandler() })
    ) throws -> Self {
        let context = PluginContext(name: type, logger: logger, stores: stores, wallClock: { clock.now })
        return try Self(
            settings: decodeSettings(Settings.self, yaml: yaml, environment: environment), context: context)
    }
}
