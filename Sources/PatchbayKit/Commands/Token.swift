import ArgumentParser
import PatchbayPlugin

/// `patchbay token`
struct Token: AsyncParsableCommand {
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case jwt, embed

        /// The auth plugin that makes it.
        var type: String {
            switch self {
            case .jwt: "jwt"
            case .embed: "embed_token"
            }
        }
    }

    static let configuration = CommandConfiguration(
        abstract: "Makes a token for trying things out.",
        discussion: """
            A JWT is signed with the secret of the configuration's jwt instance. An embed token is random text, which \
            stands under an embed_token instance's tokens.
            """)

    @Argument(help: "jwt or embed.")
    var kind: Kind
    @OptionGroup var config: ConfigurationOption
    @Option(help: "The auth instance to use, where there are several.")
    var instance: String?
    @Option(help: "The user a JWT speaks for.")
    var user: String?
    @Option(name: .customLong("org"), help: "The user's organisation.")
    var organization: String?
    @Option(help: "The workflow an embed token starts.")
    var workflow: Int?
    @Option(help: "How long a JWT is good for, such as 15m or 12h.")
    var lifetime = Lifetime(duration: .seconds(3600))

    struct Lifetime: ExpressibleByArgument {
        var duration: Duration
        var defaultValueDescription: String { "1h" }

        init(duration: Duration) {
            self.duration = duration
        }

        init?(argument: String) {
            guard let duration = Duration.decode(argument) else { return nil }
            self.duration = duration
        }
    }

    func run() async throws {
        let (_, gateway) = try config.load()
        do {
            let request = TokenRequest(
                user: user, organization: organization, workflowID: workflow, lifetime: lifetime.duration)
            let token = try await gateway.minter(type: kind.type, instance: instance).mint(request)
            say(token)
            if kind == .embed {
                // It is public: it will stand in a page.
                let entry = "{ token: \(token), workflow: \(workflow ?? 1), allowed_domains: [localhost, 127.0.0.1] }"
                complain("Put it under the tokens of an embed_token instance:\n  - \(entry)")
            }
        } catch {
            complain("error: \(error)")
            throw ExitCode(ExitStatus.usage)
        }
    }
}
