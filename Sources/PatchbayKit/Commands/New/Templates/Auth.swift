import PatchbayPlugin

/// Lets in who knows the passphrase, which comes as the API key.
struct MyPlugin: AuthPlugin {
    static let type = "my_plugin"
    static let summary = "Lets in who knows the passphrase."

    struct Settings: PluginSettings {
        @Field("What callers have to know") var passphrase: Secret
        @Field("The user they are taken for") var user: String = "guest"
    }

    let settings: Settings

    init(settings: Settings, context: PluginContext) {
        self.settings = settings
    }

    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
        guard let key = request.apiKey else { return .pass }  // the next plugin may know what it came with
        guard settings.passphrase.withValue({ isSame($0, key) }) else {
            return .reject(Denial(code: "wrong_passphrase", message: "This is not the passphrase"))
        }
        return .accept(Principal(id: settings.user))
    }

    /// Looks at every byte, for the time it takes must not tell how many of them were right.
    private func isSame(_ passphrase: String, _ key: String) -> Bool {
        let (passphrase, key) = (passphrase.utf8, key.utf8)
        return passphrase.count == key.count && zip(passphrase, key).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
