import PatchbayConfig
import PatchbayPlugin
import Testing

@Suite("The configuration")
struct DocumentTests {
    @Test("that comes with the gateway has no fault and says what it seems to say")
    func stockConfiguration() throws {
        let configuration = try load(stock())
        #expect(configuration.server.listen == ListenAddress(host: "127.0.0.1", port: 8080))
        #expect(configuration.media.ports.ports == 40_000...40_063 && configuration.media.loops == nil)
        let opus = configuration.media.opus
        #expect(opus.complexity == 5 && opus.bitrate == 32_000 && opus.bandwidth == .full)
        #expect(configuration.media.addresses.written == ["127.0.0.1"])

        let users = try #require(configuration.instances[.auth]?["users"])
        #expect(users.type == "jwt" && users.stores.isEmpty)
        #expect(try #require(users.settings as? JWTSettings).secret.withValue { $0 } == "k")
        let embeds = try #require(configuration.instances[.auth]?["embeds"])
        #expect(embeds.stores == ["local"])
        #expect((embeds.settings as? EmbedSettings)?.tokens.first?.allowedDomains == ["localhost", "127.0.0.1"])
        #expect(configuration.instances[.quota]?["seats"]?.onUnavailable == .deny)
        #expect(configuration.instances[.icePolicy]?.keys.sorted() == ["none"])

        let tenant = try #require(configuration.tenants.first)
        #expect(tenant.name == "default" && tenant.matches == [.any] && !tenant.allowAnonymous)
        #expect(tenant.auth == ["users", "embeds"] && tenant.quotas == ["seats"])
        #expect(tenant.pipeline == "parrot" && tenant.pipelines == [2: "echo"])
        #expect(tenant.inboundPolicy == "none" && tenant.outboundPolicy == "none")
        #expect(tenant.runs == .open && tenant.store == "local" && tenant.playground == "emb_demo")
        #expect(tenant.keepRuns == .seconds(30 * 86_400))
        #expect(tenant.limits.call == .seconds(1800) && tenant.limits.connect == .seconds(60))
        #expect(tenant.limits.grace == .seconds(10))
        #expect(tenant.limits.idle == .seconds(300) && configuration.server.drain == .seconds(20))
    }

    @Test("of several tenants")
    func tenants() throws {
        let configuration = try load(
            """
            version: 1
            media:
              addresses: auto
              public_address: 203.0.113.5
              ports: 5000-5003
              loops: 4
              opus: { complexity: 0, bitrate: 128000, bandwidth: superwide }
            server: { listen: "[::1]:0", drain: 0s, trusted_proxies: [10.0.0.0/8, "::1"] }
            quotas: { q: { type: concurrency, limit: 1, on_unavailable: allow } }
            pipelines: { e: { type: echo }, p: { type: parrot } }
            ice_policies: { mine: { type: public } }
            tenants:
              b:
                match: [{ host: Voice.Acme.Example }, { path: /t/acme }]
                allow_anonymous: true
                pipeline: e
                ice: { inbound: private, outbound: mine }
              a:
                match: any
                allow_anonymous: true
                pipeline: p
                quotas: [q]
                limits: { call: 5m, idle: 30s, grace: 0s, sockets: 9 }
            """)
        #expect(configuration.tenants.map(\.name) == ["a", "b"])
        #expect(configuration.tenants.map(\.matches) == [[.any], [.host("voice.acme.example"), .path("/t/acme")]])
        #expect(configuration.tenants.map(\.inboundPolicy) == ["none", "private"])
        #expect(configuration.tenants.map(\.outboundPolicy) == ["none", "mine"])
        #expect(configuration.tenants.map(\.limits.call) == [.seconds(300), .seconds(1800)])
        #expect(configuration.tenants.map(\.limits.idle) == [.seconds(30), .seconds(300)])
        #expect(configuration.tenants.map(\.limits.sockets) == [9, nil])
        #expect(configuration.tenants.map(\.limits.grace) == [.zero, .seconds(10)])
        #expect(configuration.server.drain == .zero)
        #expect(configuration.server.trustedProxies.map(\.written) == ["10.0.0.0/8", "::1"])
        #expect(configuration.instances[.icePolicy]?.keys.sorted() == ["mine", "none", "private"])
        #expect(configuration.instances[.quota]?["q"]?.onUnavailable == .allow)
        #expect(configuration.media.addresses == .auto && configuration.media.loops == 4)
        #expect(configuration.media.publicAddress?.written == ["203.0.113.5"])
        let opus = configuration.media.opus
        #expect(opus.complexity == 0 && opus.bitrate == 128_000 && opus.bandwidth == .superwide)
        #expect(configuration.server.listen == ListenAddress(host: "::1", port: 0))
    }

    @Test("file that cannot be read is a fault like the others")
    func file() throws {
        let error = #expect(throws: Faults.self) {
            try GatewayConfiguration.load(file: "/nowhere/config.yaml", environment: [:], catalogue: catalogue)
        }
        #expect(error?.description == "/nowhere/config.yaml: error: cannot read it: No such file or directory")
        let endless = #expect(throws: Faults.self) {
            try GatewayConfiguration.load(file: "/dev/zero", environment: [:], catalogue: catalogue)
        }
        #expect(endless?.description == "/dev/zero: error: cannot read it: it is larger than 256 KiB")
        let stock = #expect(throws: Faults.self) {
            try GatewayConfiguration.load(
                file: stockPath.replacing("config.yaml", with: "./config.yaml"), environment: [:], catalogue: [:])
        }
        #expect(stock?.faults.first?.message.hasSuffix("in this build; built in: none") == true)
    }

    @Test("has a JSON Schema that knows each of its keys")
    func schemaShape() throws {
        let schema = try JSONValue(parsing: schema(catalogue), maximumDepth: 32)
        #expect(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema")
        #expect(
            schema["properties"]?.object?.keys.sorted() == [
                "auth", "ice_policies", "ice_servers", "media", "pipelines", "quotas", "server", "stores", "tenants",
                "tenants_dir", "tests", "version",
            ])
        let parrot = schema["properties"]?["pipelines"]?["additionalProperties"]?["oneOf"]
        guard case .array(let pipelines)? = parrot else { return #expect(Bool(false), "no pipelines in the schema") }
        #expect(pipelines.map { $0["properties"]?["type"]?["const"] } == ["parrot", "echo"])
        #expect(pipelines.first?["properties"]?["pause"]?["default"] == "600ms")
        #expect(pipelines.first?["additionalProperties"] == false)

    }

    @Test("has a JSON Schema for a tenant's own file and one for a file of tests, which say what the whole one says")
    func schemasOfOtherFiles() throws {
        let whole = try JSONValue(parsing: schema(catalogue), maximumDepth: 32)
        let tenant = try JSONValue(parsing: schema(catalogue, of: .tenant), maximumDepth: 32)
        #expect(tenant["$schema"] == whole["$schema"])
        #expect(
            tenant["properties"]?["match"] != nil
                && tenant["properties"] == whole["properties"]?["tenants"]?["additionalProperties"]?["properties"])
        let tests = try JSONValue(parsing: schema(catalogue, of: .tests), maximumDepth: 32)
        #expect(tests["$schema"] == whole["$schema"] && tests["required"] == ["tests"])
        #expect(tests["properties"]?.object?.keys.sorted() == ["tests"])
        let items = tests["properties"]?["tests"]?["items"]
        #expect(items?["properties"]?["expect"] != nil && items == whole["properties"]?["tests"]?["items"])
    }

    @Test("is accepted by its JSON Schema, and with a key misspelled it is not")
    func schemaAccepts() throws {
        struct Holder: PluginSettings {
            @Field("Anything") var root: JSONValue
        }
        let schema = try JSONValue(parsing: schema(catalogue), maximumDepth: 32)
        let stock =
            try stock().replacing(
                "    quotas: [seats]", with: "    quotas: [seats]\n    store: 'local'"
            ).replacing(
                "\nmedia:\n", with: "\nmedia:\n  opus: { complexity: 9, bitrate: 24000, bandwidth: wide }\n")
            + "\nice_servers: [{ urls: [\"turn:a\"], secret: { env: TURN }, ttl: 2h }]\ntenants_dir: tenants.d\n"
            + "tests: [{ name: a, embed: { token: emb_demo }, expect: { outcome: accepted } }]\n"
        let text = "root:\n" + stock.split(separator: "\n").map { "  \($0)\n" }.joined()
        let root = try decodeSettings(Holder.self, yaml: text).root
        #expect(accepts(schema, root))
        for key in [
            "listen:", "ports:", "secret:", "token:", "limit:", "pause:", "match:", "inbound:", "call:", "type:",
            "runs:", "store: 'local'", "urls:", "ttl:", "opus:", "complexity:", "bitrate:", "bandwidth:",
            "tenants_dir:", "tests:", "embed:", "expect:", "outcome:",
        ] {
            let typo = try decodeSettings(Holder.self, yaml: text.replacing(key, with: "x" + key, maxReplacements: 1))
                .root
            #expect(!accepts(schema, typo), "\(key)")
        }
        for (ice, isGood) in [("auto", true), ("{ inbound: private }", true), ("{ in: none }", false)] {
            let other = text.replacing("ice: { inbound: none, outbound: none }", with: "ice: \(ice)")
            #expect(try accepts(schema, decodeSettings(Holder.self, yaml: other).root) == isGood, "\(ice)")
        }
    }

    @Test("is accepted by its JSON Schema with a variable where a word may stand")
    func schemaAcceptsVariables() throws {
        struct Holder: PluginSettings {
            @Field("Anything") var root: JSONValue
        }
        let schema = try JSONValue(parsing: schema(catalogue), maximumDepth: 32)
        let text = """
            root:
              version: "${VERSION:-1}"
              media: { addresses: "${ADDRESSES:-auto}", opus: { bandwidth: "${BAND:-full}" } }
              auth: { users: { type: jwt, algorithms: ["${ALGORITHM:-HS256}"], secret: { env: SECRET } } }
              quotas: { seats: { type: concurrency, limit: "${LIMIT:-1}", on_unavailable: "${THEN:-deny}" } }
              pipelines: { echo: { type: echo } }
              tenants:
                a: { match: "${MATCH:-any}", pipeline: echo, ice: "${ICE:-auto}", runs: "${RUNS:-open}" }
                b: { match: [{ path: "${PREFIX:-/b}" }], pipeline: echo, events: "${EVENTS:-all}" }
                c: { match: { path: /c }, pipeline: echo, origins: "${ORIGINS:-any}" }
            """
        // As an editor sees it: not replaced.
        let written = text.replacing("${", with: "$${")
        #expect(accepts(schema, try decodeSettings(Holder.self, yaml: written).root))
        for name in [
            "VERSION:-1", "ADDRESSES:-auto", "BAND:-full", "ALGORITHM:-HS256", "THEN:-deny", "MATCH:-any",
            "ICE:-auto", "RUNS:-open", "PREFIX:-/b", "EVENTS:-all", "ORIGINS:-any",
        ] {
            let wrong = try decodeSettings(Holder.self, yaml: written.replacing("$${\(name)}", with: "nonsense")).root
            #expect(!accepts(schema, wrong), "\(name)")
        }
    }

    @Test("explains a plugin")
    func described() throws {
        let embeds = try #require(catalogue[.auth]?.last)
        #expect(
            describe(embeds, kind: .auth) == """
                embed_token (auth): Tokens in pages.
                  store: the name of a store, required
                      Where sessions are kept
                  tokens: a list, required
                      Tokens that stand in pages
                      token: text, required
                          The token
                      workflow: a whole number from 1 to 1000000, required
                          The workflow it starts
                      allowed_domains: a list, default []
                          Hosts of the pages it may stand in
                      active: true or false, default true
                          Whether it is good
                      settings: any value, optional
                          Handed to the page
                """)
    }
}

private func isOfType(_ type: JSONValue?, _ value: JSONValue) -> Bool {
    if case .array(let types)? = type { return types.contains { isOfType($0, value) } }
    return switch (type?.string, value) {
    case (nil, _), ("null", .null), ("boolean", .bool), ("string", .string), ("array", .array): true
    case ("object", .object), ("integer", .integer), ("number", .integer), ("number", .number): true
    case (_?, _): false
    }
}

private func matches(_ pattern: String?, _ text: String?) -> Bool {
    guard let pattern, let text else { return true }
    return (try? Regex(pattern)).map { text.firstMatch(of: $0) != nil } ?? false
}

/// The part of JSON Schema that says which keys there are, how they nest, and what may stand behind them.
private func accepts(_ schema: JSONValue, _ value: JSONValue) -> Bool {
    func all(_ name: String, _ check: ([JSONValue]) -> Bool) -> Bool {
        if case .array(let list)? = schema[name] { check(list) } else { true }
    }
    guard all("oneOf", { $0.count { accepts($0, value) } == 1 }), all("anyOf", { $0.contains { accepts($0, value) } }),
        all("enum", { $0.contains(value) }), schema["const"].map({ $0 == value }) ?? true,
        all("required", { $0.allSatisfy { value[$0.plain] != nil } }), isOfType(schema["type"], value),
        matches(schema["pattern"]?.string, value.string)
    else { return false }
    for (name, member) in value.object ?? [:] {
        if let known = schema["properties"]?[name] {
            guard accepts(known, member) else { return false }
        } else if let other = schema["additionalProperties"] {
            guard other != false, accepts(other, member) else { return false }
        }
    }
    if case .array(let elements) = value, let items = schema["items"] {
        return elements.allSatisfy { accepts(items, $0) }
    }
    return true
}
