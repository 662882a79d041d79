internal import OutboundHTTP
public import PatchbayPlugin

extension DograhQuota {
    /// Which billing, and where to look up what it has to be told.
    public struct Settings: PluginSettings {
        @Field("hosted: organisations are billed; oss: service keys are, which a deployment of one's own has")
        public var mode: Mode

        @Field("Where the billing service is: https, or http on this machine")
        public var url: String = "https://services.dograh.com"

        @Field("What a hosted deployment shows the billing service, as X-Secret-Key")
        public var secretKey: Secret?

        @Field("How long one question to the billing service may take", in: .milliseconds(100) ... .seconds(60))
        public var timeout: Duration = .seconds(10)

        @Field("The organisation of callers whose credential names none")
        public var organization: String?

        @Field("Whether the numbers of runs are Dograh's, so that it bills by run; else it is told of none")
        public var sendRuns: Bool = true

        @Field("Organisations and their workflows, where they stand here")
        public var directory: DirectorySettings?

        @Field("The store that organisations, workflows and runs are in, where they do not stand here")
        public var store: StoreReference?

        /// Makes the default settings.
        public init() {}
    }

    /// What is billed.
    public enum Mode: String, FieldChoice {
        /// An organisation's account.
        case hosted
        /// Service keys.
        case oss
    }
}

extension DograhQuota.Settings {
    func makeDirectory(_ context: PluginContext) throws -> any Directory {
        switch (directory, store) {
        case (let directory?, nil): return try SettingsDirectory(directory)
        case (nil, let store?): return StoreDirectory(store: try context.store(store))
        case (nil, nil):
            throw SettingsFault("there is nowhere to look up workflows: write them to 'directory', or name a 'store'")
        case (_?, _?):
            throw SettingsFault("workflows are looked up in one place, 'directory' or 'store'", field: "store")
        }
    }

    /// Without slashes at its end.
    func baseURL() throws -> String {
        let lowercase = url.lowercased()
        let isHTTP = ["http://", "https://"].contains { lowercase.hasPrefix($0) && lowercase.count > $0.count }
        guard isHTTP, !url.unicodeScalars.contains(where: { $0.value <= 0x20 || "?#@".unicodeScalars.contains($0) })
        else {
            throw SettingsFault(
                "expected an address such as https://services.dograh.com, without ?, # or @", field: "url")
        }
        do throws(HTTPEndpointError) {
            _ = try HTTPEndpoint(url)
        } catch {
            throw SettingsFault(error.description, field: "url")
        }
        return String(url.reversed().drop { $0 == "/" }.reversed())
    }
}
