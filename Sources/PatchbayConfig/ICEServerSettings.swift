package import PatchbayPlugin

/// A STUN server, or a TURN server that callers and the gateway itself use.
package struct ICEServerSettings: PluginSettings {
    @Field("stun:, stuns:, turn: and turns: URLs of one server") package var urls: [ICEServerURL]
    @Field("The secret that the TURN server shares with the gateway, which makes credentials with it")
    package var secret: Secret?
    @Field("For a TURN server without such a secret: who the gateway itself is there")
    package var username: String?
    @Field("The password of that user") package var password: Secret?
    @Field("How long credentials are good", in: .seconds(60)...(.seconds(86_400)))
    package var ttl: Duration = .seconds(3600)

    package init() {}

    /// Whether the gateway can be relayed by it.
    package var hasCredentials: Bool { secret != nil || password != nil }

    package static func read(_ node: SettingsNode, _ reader: SettingsReader) -> ICEServerSettings? {
        let settings = ICEServerSettings()
        let isComplete = reader.fill(settings.fields, from: node)
        let problems = reader.problems.count
        if let urls = settings._urls.decoded {
            if urls.isEmpty, let list = node["urls"] {
                reader.fault(at: list, "the list of URLs is empty", help: ICEServerURL.example)
            } else if let secret = node["secret"] ?? node["username"], !urls.contains(where: \.isTURN) {
                let help = "add the TURN server's URL, or leave the credentials out: STUN needs none"
                reader.fault(at: secret, "credentials, and no turn: or turns: URL that they are for", help: help)
            }
        }
        if let username = node["username"] ?? node["password"], node["secret"] != nil {
            reader.fault(
                at: username, "a user, and a secret to make users with",
                help: "write `secret` where the server shares one, else `username` and `password`")
        } else if let alone = node["username"] ?? node["password"], node["username"] == nil || node["password"] == nil {
            reader.fault(at: alone, "`username` and `password` belong together", help: "write both")
        }
        if let node = node["secret"], let weakness = settings.secret.flatMap(weakness) {
            reader.fault(at: node, weakness, help: "make one with `openssl rand -hex 32`, and tell it the TURN server")
        }
        return isComplete && reader.problems.count == problems ? settings : nil
    }
}

extension Checker {
    /// Callers get credentials of one TURN server.
    func checkICEServers(_ root: SettingsNode) {
        var servers: [SettingsNode] = []
        if case .list(let list)? = root["ice_servers"]?.content { servers = list }
        if let relay = root["media"]?["relay"], relay.isTrue, root["media"]?["ice_lite"]?.isTrue == true {
            reader.fault(
                at: relay, "a relay is of no use to an ICE-lite agent, which is to be reached directly",
                help: "leave `relay` or `ice_lite` out")
        }
        if let relay = root["media"]?["relay"], relay.isTrue,
            !servers.contains(where: { $0["secret"] != nil || $0["password"] != nil })
        {
            reader.fault(
                at: relay, "relaying needs a TURN server, and ice_servers has none with credentials",
                help: "add an entry to ice_servers with turn: URLs and a `secret`, or `username` and `password`")
        }
        for secret in servers.compactMap({ $0["secret"] }).dropFirst() {
            let help = "put all URLs of the server that has this secret into one entry"
            reader.fault(at: secret, "a second secret: one TURN server hands out credentials", help: help)
        }
    }
}

extension SettingsNode {
    fileprivate var isTrue: Bool {
        if case .scalar(let scalar) = content { scalar.text == "true" } else { false }
    }
}

/// What makes a shared secret one that can be guessed; nil when nothing is known.
private func weakness(of secret: Secret) -> String? {
    secret.withValue { $0.utf8.count < 16 } ? "the secret has fewer than 16 bytes" : secret.weakness
}
