import PatchbayPlugin

/// Keeps candidates of some kinds and drops the others. It runs for each candidate, so it has nothing to wait for.
struct MyPlugin: ICEPolicyPlugin {
    static let type = "my_plugin"
    static let summary = "Keeps candidates of the kinds it is told."

    struct Settings: PluginSettings {
        @Field("The kinds of candidates that are used") var kinds: [Kind] = Kind.allCases
        @Field("Whether those of them that are reached over TCP are used, too") var tcp: Bool = true
    }

    /// The kinds that are told to a peer, by the names they have in SDP.
    enum Kind: String, FieldChoice {
        case host
        case serverReflexive = "srflx"
        case relay
    }

    let settings: Settings

    init(settings: Settings, context: PluginContext) throws {
        guard !settings.kinds.isEmpty else {
            throw SettingsFault("without any kind no call connects: write [host]", field: "kinds")
        }
        self.settings = settings
    }

    func keeps(_ candidate: Candidate, _ direction: Direction) -> Bool {
        guard settings.tcp || candidate.transport == "udp" else { return false }
        return settings.kinds.contains { $0.rawValue == candidate.kind.rawValue }
    }

    var onlyRelays: Bool { settings.kinds.allSatisfy { $0 == .relay } }
}
