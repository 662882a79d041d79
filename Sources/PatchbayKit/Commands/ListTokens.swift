import ArgumentParser
import PatchbayPlugin

/// `patchbay token list`
struct ListTokens: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists the embed tokens and the API keys that stand in the configuration and in its stores.",
        discussion: """
            Of an API key there is the hash, by which `patchbay token revoke` takes it back. What is in a store and cannot \
            be read is listed with what is wrong with it. What belongs to an instance that this configuration does not have \
            is not listed, and neither are JWTs, which are kept nowhere.
            """)

    @OptionGroup var config: ConfigurationOption
    @Option(help: "The auth instance that they are good in, where not those of all are wanted.")
    var instance: String?
    @Flag(help: "Print a JSON array.")
    var json = false

    func run() async throws {
        let (_, gateway) = try config.load(asJSON: json)
        do {
            try await gateway.withStores { deployment in
                var listed: [ListedCredential] = []
                for (name, minter) in try minters(deployment) {
                    var credentials = try await minter.credentials()
                    if !gateway.isShared(authInstance: name) {
                        complain("the store of '\(name)' is in memory: what it has, only the gateway itself sees")
                        for index in credentials.indices { credentials[index].uses = nil }
                    }
                    let kind = type(of: minter).type
                    listed += credentials.map { ListedCredential(instance: name, type: kind, credential: $0) }
                }
                if json {
                    say(JSONValue.array(listed.map(\.json)).description)
                } else if listed.isEmpty {
                    complain("there is none")
                } else {
                    say(ListedCredential.table(listed, now: deployment.wallClock()))
                }
            }
        } catch {
            throw failure(error)
        }
    }

    private func minters(_ deployment: Deployment) throws(SettingsFault) -> [(name: String, minter: any TokenMinter)] {
        let instances = deployment.auth.filter { instance ?? $0.key == $0.key }.sorted { $0.key < $1.key }
        if let instance, instances.isEmpty {
            throw SettingsFault("the configuration has no auth instance called \(instance)")
        }
        return instances.compactMap { name, plugin in (plugin as? any TokenMinter).map { (name: name, minter: $0) } }
    }
}
