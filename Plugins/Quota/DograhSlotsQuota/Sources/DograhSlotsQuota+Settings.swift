public import PatchbayPlugin

extension DograhSlotsQuota {
    /// Which Redis, and how many calls.
    public struct Settings: PluginSettings {
        @Field("The store of type redis that is Dograh's Redis")
        public var store: StoreReference

        @Field("How many calls an organisation may have at the same time, Dograh's own among them", in: 1...1_000_000)
        public var limit: Int = 10

        @Field("Limits of organisations that have another, by Dograh's number of the organisation")
        public var limits: [String: Int] = [:]

        @Field("The organisation of callers whose credential names none; without it they are refused")
        public var organization: String?

        @Field("A second limit for the calls of this quota, which they share with Dograh's calls of the same scope")
        public var scope: Scope?

        /// Makes the default settings.
        public init() {}

        /// - Throws: a ``SettingsFault`` for names and numbers that cannot be.
        func check() throws(SettingsFault) {
            for name in limits.keys.sorted() + [organization].compactMap(\.self) where !Slot.isOrganization(name) {
                throw SettingsFault(
                    "'\(name.prefix(64))' is no organisation: up to 64 letters, digits, and . _ - without spaces",
                    field: limits[name] == nil ? "organization" : "limits")
            }
            for (name, limit) in limits where limit < 1 {
                throw SettingsFault("the limit of '\(name)' is \(limit); the least is 1", field: "limits")
            }
            // A scope without a colon could be an organisation's set.
            if let name = scope?.name, !name.contains(":") || !name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) {
                throw SettingsFault(
                    "'\(name.prefix(64))' is no scope: it is a kind, a colon and an id, such as campaign:42",
                    field: "scope")
            }
        }
    }

    /// A limit within an organisation.
    public struct Scope: PluginSettings {
        @Field("Dograh's name of it, such as campaign:42")
        public var name: String

        @Field("How many calls it may have at the same time", in: 1...1_000_000)
        public var limit: Int

        /// Makes a scope without a name.
        public init() {}
    }
}
