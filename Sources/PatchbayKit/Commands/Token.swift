import ArgumentParser
import PatchbayPlugin

/// `patchbay token`
struct Token: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a token for trying things out, lists those that there are, or takes one back.",
        discussion: "`patchbay token jwt --help` has all options.",
        subcommands: [MakeToken.self, ListTokens.self, RevokeToken.self], defaultSubcommand: MakeToken.self)
}

/// `patchbay token jwt`, `embed` and `api-key`
struct MakeToken: AsyncParsableCommand {
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
        commandName: "make",
        abstract: "Makes a token; the word `make` may be left out.",
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
    @Option(help: "The user a JWT speaks for, or as whom the calls of an API key or an embed token run.")
    var user: String?
    @Option(name: .customLong("org"), help: "The user's organisation.")
    var organization: String?
    @Option(help: "The workflow an embed token starts, or the only one an API key is good for.")
    var workflow: Int?
    @Option(help: "How long a JWT is good for, such as 15m or 12h; 1h unless it is said.")
    var lifetime: Lifetime?
    @Flag(help: "Write an embed token or an API key into its instance's store.")
    var save = false
    @Option(
        name: .customLong("domain"), help: "A domain whose pages may use an embed token; several are several options.")
    var domains: [String] = []
    @Option(help: "How many sessions pages may start with an embed token.")
    var usageLimit: Int?
    @Option(help: "How long an embed token or an API key is good for, such as 30d.")
    var expires: Lifetime?

    struct Lifetime: ExpressibleByArgument {
        var duration: Duration

        init?(argument: String) {
            guard let duration = Duration.decode(argument) else { return nil }
            self.duration = duration
        }
    }

    /// - Throws: for an option that the credential cannot have: whoever writes it would believe that it is bounded.
    func validate() throws {
        let options: [(option: String, isGiven: Bool, kinds: [Kind], hint: String)] = [
            ("--lifetime", lifetime != nil, [.jwt], "say --expires"),
            ("--expires", expires != nil, [.embed, .apiKey], "say --lifetime"),
            ("--workflow", workflow != nil, [.embed, .apiKey], "it is good for every workflow"),
            ("--save", save, [.embed, .apiKey], "it is signed, and kept nowhere"),
            ("--domain", !domains.isEmpty, [.embed], "only embed tokens are bound to pages"),
            ("--usage-limit", usageLimit != nil, [.embed], "only uses of embed tokens are counted"),
        ]
        for (option, isGiven, kinds, hint) in options where isGiven && !kinds.contains(kind) {
            let others = kinds.map(\.rawValue).joined(separator: " and ")
            throw ValidationError("\(kind.rawValue) has no \(option), which is for \(others): \(hint)")
        }
    }

    func run() async throws {
        let (_, gateway) = try config.load()
        do {
            let request = TokenRequest(
                user: user, organization: organization, workflowID: workflow,
                lifetime: lifetime?.duration ?? .seconds(3_600), isSaved: save, allowedDomains: domains,
                usageLimit: usageLimit, expiresAfter: expires?.duration)
            let minter = try gateway.minter(type: kind.type, instance: instance, saves: save)
            func mint() async throws {
                let token = try await minter.mint(request)
                say(token)
                if let instructions = minter.instructions(for: token, request) { complain(instructions) }
            }
            if save { try await gateway.withStores { _ in try await mint() } } else { try await mint() }
        } catch {
            throw failure(error)
        }
    }
}

/// `patchbay token revoke`
struct RevokeToken: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Takes an embed token or an API key back that --save has written into a store.",
        discussion: """
            It is good no longer for new calls, at once; a live call goes on to its end. An API key may be given by its \
            SHA-256, so that it stands in no history of commands.
            """)

    @Argument(help: "The token, the key, or the key's hash.")
    var credential: String
    @OptionGroup var config: ConfigurationOption
    @Option(help: "The auth instance that it is good in, where it is not to be looked for in all.")
    var instance: String?

    func run() async throws {
        let (_, gateway) = try config.load()
        do {
            try await gateway.withStores { deployment in
                guard let name = try await deployment.revoke(credential, instance: instance) else {
                    let place = instance.map { "'\($0)'" } ?? "any auth instance"
                    throw SettingsFault("there is no such token or key in the store of \(place)")
                }
                complain("revoked in \(name)")
            }
        } catch {
            throw failure(error)
        }
    }
}

/// Says what went wrong; the status to end with.
func failure(_ error: any Error) -> ExitCode {
    complain("error: \(error)")
    return ExitCode(error is SettingsFault ? ExitStatus.usage : ExitStatus.software)
}

extension Deployment {
    /// Takes a saved credential back.
    ///
    /// - Returns: the instance that had it; nil when none has.
    fileprivate func revoke(_ credential: String, instance: String?) async throws -> String? {
        for (name, plugin) in auth.sorted(by: { $0.key < $1.key }) where instance ?? name == name {
            if let minter = plugin as? any TokenMinter, try await minter.revoke(credential) { return name }
        }
        return nil
    }
}
