public import Logging

/// What every plugin is: a type with settings, made once per instance that the configuration names.
///
/// The life of an instance: `init` (also run by `patchbay check`), `start`, calls, `stop`.
public protocol Plugin: Sendable {
    /// The plugin's part of the configuration.
    associatedtype Settings: PluginSettings

    /// The name in the configuration's `type:`, in snake_case, unique among plugins of its kind.
    static var type: String { get }

    /// One sentence, printed by `patchbay plugins`.
    static var summary: String { get }

    /// Makes the instance. Cheap, without I/O: `patchbay check` runs it too.
    ///
    /// - Throws: a ``SettingsFault`` where settings contradict each other; anything else is printed as it describes itself.
    init(settings: Settings, context: PluginContext) throws

    /// What is no fault of its settings, and what nobody would want either, such as a key whose time is over by the
    /// context's `wallClock`. `patchbay check` shows it, and a gateway has it in its log at its start and at each reload: no
    /// credential may be in it. Without I/O, whether it was started or not. Nothing by default.
    func warnings() -> [SettingsFault]

    /// Connects to whatever the plugin needs. An error ends the start of the gateway.
    func start() async throws

    /// Tries, once it is started, what it can do without: `patchbay check --connect` asks. What is tried changes nothing
    /// anywhere. Nothing to try by default.
    ///
    /// - Throws: why it is of no use as things are, though a gateway would start with it.
    func verify() async throws

    /// Lets go of everything. Safe without `start`, and twice. A pipeline that ignores its cancellation may still run.
    func stop() async
}

extension Plugin {
    /// Nothing to warn of.
    public func warnings() -> [SettingsFault] { [] }

    /// Nothing to connect to.
    public func start() async throws {}

    /// Nothing to try.
    public func verify() async throws {}

    /// Nothing to let go of.
    public func stop() async {}
}

/// What the host gives an instance to live with.
public struct PluginContext: Sendable {
    /// The instance's name in the configuration, unique within its kind.
    public var name: String
    /// Logs under the instance's name.
    public var logger: Logger
    /// Wall-clock time since 1970-01-01 UTC, for expiry dates; a test hands in its own.
    public var wallClock: @Sendable () -> Duration
    private let stores: [String: any StorePlugin]
    package var findFormer: @Sendable () -> (any Plugin)? = { nil }

    /// The instance of this kind and name whose place this one takes at a reload, while calls that began with it go on; nil
    /// where there is none. It may be of another type. For `init` to ask, and not to keep.
    public var former: (any Plugin)? { findFormer() }

    /// Makes a context, which the host and tests do.
    public init(
        name: String, logger: Logger, stores: [String: any StorePlugin] = [:],
        wallClock: @escaping @Sendable () -> Duration
    ) {
        self.name = name
        self.logger = logger
        self.stores = stores
        self.wallClock = wallClock
    }

    /// The store that `reference` names under `stores:`. The configuration's check has seen that it exists.
    public func store(_ reference: StoreReference) throws -> any StorePlugin {
        guard let store = stores[reference.name] else {
            throw SettingsFault("there is no store named '\(reference.name)'")
        }
        return store
    }

    /// Whether what a store has is another instance's. Tenants may share a store: what has an `instance` is that one's alone, and
    /// what has none is anybody's.
    public func isOfAnother(_ stored: JSONValue) -> Bool {
        guard case .string(let instance)? = stored["instance"] else { return false }
        return instance != name
    }
}

/// A fault that an instance finds in its own settings, or what it warns of there, for the person who wrote them.
public struct SettingsFault: Error, CustomStringConvertible, Sendable {
    /// The setting it is about, as it is spelled in YAML; nil for the instance as a whole.
    public var field: String?
    /// The part of that setting; empty for the whole of it.
    public var place: [Step]
    /// What is wrong and what to write instead.
    public var description: String

    /// Makes one that `patchbay check` shows at `field`, or at a part of it: `field: "tokens", at: [1, "workflow"]`.
    public init(_ description: String, field: String? = nil, at place: [Step] = []) {
        self.description = description
        self.field = field
        self.place = place
    }
}

/// Why somebody is refused, for the one who asked.
public struct Denial: Error, Sendable {
    /// A stable word for programs, such as `concurrency_limit_exceeded`. The wire calls it `error_type`.
    public var code: String
    /// A sentence for people.
    public var message: String
    /// What the operator may know beside it, and the caller may not: it goes into the log, and to nobody else.
    public var detail: String?
    /// Whether it ends a chain of auth instances. Else the next is asked, for it may know the credential, and the caller is
    /// refused with this when nobody does.
    public var isFinal = true
    /// The auth instance whose it is; nil where it is nobody's, or a quota's.
    package var authInstance: String?
    /// The quota whose it is; nil where it is nobody's, or an auth instance's.
    package var quota: String?

    /// Makes a denial.
    public init(code: String, message: String) {
        self.code = code
        self.message = message
    }
}

extension Denial: Hashable {
    /// Whether callers cannot tell one from the other, whoever denies and whatever the log has beside.
    public static func == (one: Denial, other: Denial) -> Bool {
        one.code == other.code && one.message == other.message && one.isFinal == other.isFinal
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(code)
        hasher.combine(message)
    }
}

extension Denial {
    /// For one who asks too often, or whose turn it is not: who is refused with this code gets HTTP 429.
    public static let tooManyRequests = Denial(
        code: "too_many_requests", message: "Too many requests. Please try again shortly")
}
