import PatchbayPlugin

/// Lets in the guests that the configuration names, each by a passphrase that comes as the API key.
struct GuestList: AuthPlugin {
    static let type = "guest_list"
    static let summary = "Lets in the guests it names, by their passphrases."

    struct Settings: PluginSettings {
        @Field("The guests by name, each with the passphrase to come with") var guests: [String: Secret]
    }

    let guests: [String: Secret]

    init(settings: Settings, context: PluginContext) throws {
        guests = settings.guests
        if Set(guests.values.map { $0.withValue { $0 } }).count < guests.count {
            throw SettingsFault("two guests have the same passphrase: give each another", field: "guests")
        }
    }

    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome {
        guard let key = request.apiKey else { return .pass }  // the next plugin may know what it came with
        guard let guest = guests.first(where: { $0.value.withValue { isSame($0, key) } }) else {
            return .reject(Denial(code: "unknown_guest", message: "No guest has this passphrase"))
        }
        return .accept(Principal(id: guest.key))
    }

    /// Looks at every byte, for the time it takes must not tell how many of them were right.
    private func isSame(_ passphrase: String, _ key: String) -> Bool {
        let (passphrase, key) = (passphrase.utf8, key.utf8)
        return passphrase.count == key.count && zip(passphrase, key).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
