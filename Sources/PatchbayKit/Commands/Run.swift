import ArgumentParser
import PatchbayPlugin

/// `patchbay run`
struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes runs down for tenants whose runs are registered.", subcommands: [Add.self])

    /// `patchbay run add`
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Adds a run that its organisation may call once.")

        @OptionGroup var config: ConfigurationOption
        @Option(help: "The tenant whose run it is.")
        var tenant = "default"
        @Option(help: "The workflow it is a run of.")
        var workflow: Int
        @Option(help: "The run's id.")
        var run: Int
        @Option(help: "The organisation that may call it.")
        var organization: String

        func run() async throws {
            let (_, gateway) = try config.load()
            do {
                try await gateway.withStores { deployment in
                    guard let runs = deployment.tenants.first(where: { $0.name == tenant })?.runs else {
                        throw SettingsFault("the configuration has no tenant '\(tenant)'")
                    }
                    guard runs.arePersistent else {
                        throw SettingsFault(
                            "the tenant's store is in memory, which only the gateway itself sees; declare one under stores"
                        )
                    }
                    let new = WorkflowRun(id: run, owner: .organization(organization), workflowID: workflow)
                    guard try await runs.add(new) else {
                        throw SettingsFault("the organisation has a run \(run) already")
                    }
                }
            } catch {
                complain("error: \(error)")
                throw ExitCode(error is SettingsFault ? ExitStatus.usage : ExitStatus.software)
            }
        }
    }
}
