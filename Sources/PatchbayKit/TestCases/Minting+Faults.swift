import PatchbayConfig
import PatchbayPlugin

extension TestCredential.Minting {
    /// Why an instance cannot make it, or not as it is written, in the words of a test: `patchbay token` says the same in
    /// those of the command line. Nothing is known of plugins that do not come with Patchbay.
    func problems(for instance: GatewayConfiguration.PluginInstance) -> [SettingsProblem] {
        guard let kind = MakeToken.Kind.allCases.first(where: { $0.type == instance.type }) else { return [] }
        var problems: [SettingsProblem] = []
        if user?.isEmpty ?? true {
            let whose =
                switch kind {
                case .jwt: "a JWT speaks for a user"
                case .embed: "the calls of an embed token run as a user"
                case .apiKey: "the callers with an API key are a user"
                }
            problems.append(problem("\(whose): say which", at: "user", help: "add user: ID"))
        }
        if let workflow, workflow < 0 {
            problems.append(problem("a workflow's id is 0 or more", at: "workflow", help: "write a number from 0"))
        }
        switch kind {
        case .jwt:
            if workflow != nil {
                problems.append(
                    problem("a JWT is good for every workflow", at: "workflow", help: "leave `workflow` out"))
            }
            let secret = instance.settings.fields.first { $0.name == "secret" }?.field.written
            if secret ?? .null == .null {
                problems.append(
                    problem(
                        "'auth.\(instance.name)' has no `secret` to sign with", at: "mint",
                        help: "give the test a token of the issuer's, as { env: NAME } or { file: PATH }"))
            }
        case .embed where workflow == nil:
            problems.append(
                problem("an embed token starts a workflow: say which", at: "workflow", help: "add workflow: ID"))
        case .apiKey where instance.stores.isEmpty:
            problems.append(
                problem(
                    "a key is made by writing its hash into the instance's store, and 'auth.\(instance.name)' has none",
                    at: "mint", help: "write `store` there"))
        case .embed, .apiKey: break
        }
        return problems
    }
}
