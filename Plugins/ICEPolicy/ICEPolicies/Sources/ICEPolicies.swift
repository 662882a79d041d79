public import PatchbayPlugin

/// Uses every candidate.
public struct NoneICEPolicy: ICEPolicyPlugin {
    public static let type = "none"
    public static let summary = "Uses every candidate."
    /// There is nothing to set.
    public typealias Settings = ICEPolicySettings

    /// Makes the policy.
    public init(settings: ICEPolicySettings, context: PluginContext) {}

    public func keeps(_ candidate: Candidate, _ direction: Direction) -> Bool { true }
}

/// Drops candidates with private addresses: for a gateway and callers on the public Internet.
public struct PrivateICEPolicy: ICEPolicyPlugin {
    public static let type = "private"
    public static let summary = "Drops candidates with private addresses, relayed ones excepted."
    /// There is nothing to set.
    public typealias Settings = ICEPolicySettings

    /// Makes the policy.
    public init(settings: ICEPolicySettings, context: PluginContext) {}

    public func keeps(_ candidate: Candidate, _ direction: Direction) -> Bool {
        candidate.kind == .relay || !candidate.isPrivate
    }
}

/// Drops candidates with public addresses, and names: for calls that stay within one network.
public struct PublicICEPolicy: ICEPolicyPlugin {
    public static let type = "public"
    public static let summary = "Drops candidates with public addresses or names, relayed ones excepted."
    /// There is nothing to set.
    public typealias Settings = ICEPolicySettings

    /// Makes the policy.
    public init(settings: ICEPolicySettings, context: PluginContext) {}

    public func keeps(_ candidate: Candidate, _ direction: Direction) -> Bool {
        candidate.kind == .relay || candidate.isPrivate
    }
}

/// Drops all but relayed candidates: every call goes through TURN.
public struct AllICEPolicy: ICEPolicyPlugin {
    public static let type = "all"
    public static let summary = "Drops all candidates but relayed ones."
    /// There is nothing to set.
    public typealias Settings = ICEPolicySettings

    /// Makes the policy.
    public init(settings: ICEPolicySettings, context: PluginContext) {}

    public func keeps(_ candidate: Candidate, _ direction: Direction) -> Bool { candidate.kind == .relay }

    public var onlyRelays: Bool { true }
}

/// The settings of a policy: none.
public struct ICEPolicySettings: PluginSettings {
    /// Makes the settings.
    public init() {}
}
