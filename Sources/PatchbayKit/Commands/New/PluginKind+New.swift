import ArgumentParser
import PatchbayConfig

/// What there is to write of each kind of plugin.
extension PluginKind {
    /// As it is said on the command line; the name of its section in the configuration is understood, too.
    init(argument: String) throws {
        let word = argument.replacing("-", with: "_")
        guard let kind = Self.allCases.first(where: { $0.word == word || $0.section == word }) else {
            throw ValidationError("a plugin is one of \(Self.allCases.map(\.word).joined(separator: ", "))")
        }
        self = kind
    }

    /// As it is said on the command line.
    var word: String {
        switch self {
        case .store, .auth, .quota, .pipeline: rawValue
        case .icePolicy: "ice_policy"
        }
    }

    /// The function of ``PluginRegistration`` for it.
    var registration: String {
        switch self {
        case .store, .auth, .quota, .pipeline: rawValue
        case .icePolicy: "icePolicy"
        }
    }

    /// Files of a package that are different for each kind.
    var templates: (plugin: [UInt8], tests: [UInt8], configuration: [UInt8]) {
        typealias Files = PackageResources
        return switch self {
        case .pipeline: (Files.Pipeline_swift, Files.PipelineTests_swift, Files.Pipeline_yaml)
        case .auth: (Files.Auth_swift, Files.AuthTests_swift, Files.Auth_yaml)
        case .quota: (Files.Quota_swift, Files.QuotaTests_swift, Files.Quota_yaml)
        case .icePolicy: (Files.ICEPolicy_swift, Files.ICEPolicyTests_swift, Files.ICEPolicy_yaml)
        case .store: (Files.Store_swift, Files.StoreTests_swift, Files.Store_yaml)
        }
    }

    /// Variables that its configuration needs, to put before a command.
    var environment: String {
        switch self {
        case .auth: "PASSPHRASE=open-sesame "
        case .store, .quota, .pipeline, .icePolicy: ""
        }
    }

    /// What comes of a call from the playground.
    var trial: String {
        switch self {
        case .pipeline: "It comes back."
        case .auth:
            """
            It comes back. The page calls with an embed token, and needs no passphrase; others call with it:

            ```sh
            swift run MyPlugin call "ws://127.0.0.1:8080/api/v1/ws/signaling/1?api_key=open-sesame"
            ```
            """
        case .quota: "It comes back. A second page is told that there is a call already."
        case .icePolicy: "It comes back, by way of the candidates that the plugin has kept."
        case .store: "It comes back. The page's session and its call are kept in the plugin."
        }
    }
}
