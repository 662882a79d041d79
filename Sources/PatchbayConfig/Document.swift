package import PatchbayPlugin
internal import Wire

/// The top of the configuration, as it is written. Plugins' parts are decoded when their types are known.
struct Document: PluginSettings {
    @Field("Version of this format") var version: FormatVersion
    @Field("Where the gateway listens") var server: ServerSettings = .init()
    @Field("How sound travels") var media: MediaSettings = .init()
    @Field("STUN and TURN servers, for callers and for the gateway itself") var iceServers: [ICEServerSettings] = []
    @Field("Where plugins keep what outlives a call") var stores: [String: SettingsNode] = [:]
    @Field("Who may call") var auth: [String: SettingsNode] = [:]
    @Field("How much they may call") var quotas: [String: SettingsNode] = [:]
    @Field("Who answers") var pipelines: [String: SettingsNode] = [:]
    @Field("Which ICE candidates are used") var icePolicies: [String: SettingsNode] = [:]
    @Field("Who is served what") var tenants: [String: SettingsNode] = [:]
    @Field("A folder with more tenants: NAME.yaml holds what would stand under tenants.NAME")
    var tenantsDir: FileReference?
    @Field("What should become of callers and candidates, for `patchbay test`") var tests: [SettingsNode] = []
}

/// `1`
struct FormatVersion: FieldScalar {
    static let noun = "1"
    static let schema: JSONValue = ["anyOf": [["enum": [1, "1"]], .variableSchema]]
    static func decode(_ text: String) -> FormatVersion? { text == "1" ? FormatVersion() : nil }
    var written: JSONValue { 1 }
}

/// Where the gateway listens.
package struct ServerSettings: PluginSettings {
    @Field("Address of HTTP, WebSocket and the playground") package var listen: ListenAddress = .init(
        host: "127.0.0.1", port: 8080)
    @Field("Address of /livez, /readyz, /calls and /quotas, for operators; off by default")
    package var admin: ListenAddress?
    @Field("Reverse proxies whose X-Forwarded-For is believed: addresses, or ranges such as 10.0.0.0/8")
    package var trustedProxies: [AddressRange] = []
    @Field("How long live calls may go on after SIGTERM", in: .zero...(.seconds(3600)))
    package var drain: Duration = .seconds(20)

    package init() {}

    package static func read(_ node: SettingsNode, _ reader: SettingsReader) -> ServerSettings? {
        let settings = ServerSettings()
        var rest = node
        // It was here once. A tenant's page must not call with another's token.
        if case .map(var entries) = node.content, let old = entries.firstIndex(where: { $0.name == "playground" }) {
            let entry = entries.remove(at: old)
            reader.show(entry.value)
            reader.report(
                SettingsProblem(
                    range: entry.range, path: node.path, message: "'playground' is a tenant's setting",
                    help: "write it under the tenant whose page at / calls with the token"))
            rest.content = .map(entries)
            _ = reader.fill(settings.fields, from: rest)
            return nil
        }
        return reader.fill(settings.fields, from: rest) ? settings : nil
    }
}

/// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`
package struct ListenAddress: FieldScalar, Hashable {
    /// A name or an IP literal without brackets.
    package var host: String
    /// 0 takes any free port.
    package var port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    package static let noun = "an address with a port"
    package static let schema: JSONValue = ["type": "string"]

    package static func decode(_ text: String) -> ListenAddress? {
        guard let colon = text.lastIndex(of: ":"), let number = Int.decode(String(text[colon...].dropFirst())),
            let port = UInt16(exactly: number)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard IPAddress.decode(String(host))?.address.family == .ipv6 else { return nil }
        } else if IPAddress.decode(String(host)) == nil, !isHostName(host) {
            return nil
        }
        return ListenAddress(host: String(host), port: port)
    }

    package static func advice(for text: String) -> String? { "for example 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080" }

    package var written: JSONValue { .string(host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)") }
}

/// Letters, digits and hyphens in labels of at most 63 (RFC 1123 §2.1).
func isHostName(_ text: some StringProtocol) -> Bool {
    text.utf8.count <= 253
        && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        }
}
