import ArgumentParser
import PatchbayPlugin

/// `patchbay token`
struct Token: AsyncParsableCommand {
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case jwt, embed
        case apiKey = "api-key"

        /// The auth plugin that makes it.
        var type: String {
            switch self {
            case .jwt: "jwt"
            case .embed: "embed_token"
            case .apiKey: "api_key"
            }
        }
    }

    static let configuration = CommandConfiguration(
        abstract: "Makes a token for trying things out.",
        discussion: """
            A JWT is signed with the secret of the configuration's jwt instance. An embed token is random text, which \
            stands under an embed_token instance's tokens, or with --save in its store, where it is good at once. So is \
            an API key, but only its hash is written down: the key itself is shown once.
            """)

    @Argument(help: "jwt, embed or api-key.")
    var kind: Kind
    @OptionGroup var config: ConfigurationOption
    @Option(help: "The auth instance to use, where there are several.")
    var instance: String?
    @Option(help: "The user a JWT speaks for, or as whom the calls of an API key or a saved embed token run.")
    var user: String?
    @Option(name: .customLong("org"), help: "The user's organisation.")
    var organization: String?
    @Option(help: "The workflow an embed token starts, or the only one an API key is good for.")
    var workflow: Int?
    @Option(help: "How long a JWT is good for, such as 15m or 12h.")
    var lifetime = Lifetime(duration: .seconds(3600))
    @Flag(help: "Write an embed token or an API key into its instance's store.")
    var save = false
    @Option(
        name: .customLong("domain"), help: "A domain whose pages may use a saved token; several are several options.")
    var domains: [String] = []
    @Option(help: "How many calls a saved token starts.")
    var usageLimit: Int?
    @Option(help: "How long a saved token or an API key is good for, such as 30d.")
    var expires: Lifetime?

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
                user: user, organization: organization, workflowID: workflow, lifetime: lifetime.duration,
                isSaved: save, allowedDomains: domains, usageLimit: usageLimit, expiresAfter: expires?.duration)
            let minter = try gateway.minter(type: kind.type, instance: instance, saves: save)
            if save {
                try await gateway.withStores { _ in say(try await minter.mint(request)) }
                return
            }
            let token = try await minter.mint(request)
            say(token)
            if let instructions = minter.instructions(for: token, request) { complain(instructions) }
        } catch {
            complain("error: \(error)")
            throw ExitCode(error is SettingsFault ? ExitStatus.usage : ExitStatus.software)
        }
    }
}
