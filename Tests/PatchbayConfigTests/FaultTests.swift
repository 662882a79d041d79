import Foundation
import PatchbayConfig
import PatchbayPlugin
import Testing

@Suite("Faults in a configuration")
struct FaultTests {
    @Test("ten of them print together, in the order of the file, each where it stands")
    func ten() {
        let text = #"""
            version: 2
            server:
              lisen: 127.0.0.1:8080
            media:
              ports: 40063-40000
            auth:
              users:
                type: jwt
                algorithms: [HS265]
                secret: hunter2
                leeway: 10 seconds
            pipelines:
              sales:
                type: parrot
                puase: 200ms
              bot: { type: prrot, key: hunter2 }
            tenants:
              default:
                match: any
                auth: [users, embeds]
                pipeline: sale
            """#
        let expected = #"""
            config.yaml:1:10: error: version: expected 1, found '2'
              | version: 2
              |          ^
            config.yaml:3:3: error: server: unknown key 'lisen'
              |   lisen: 127.0.0.1:8080
              |   ^~~~~
              = did you mean 'listen'?
            config.yaml:5:10: error: media.ports: expected a range of ports, found '40063-40000'
              |   ports: 40063-40000
              |          ^~~~~~~~~~~
              = for example 40000-40063; the lower one first
            config.yaml:9:18: error: auth.users.algorithms[0]: expected one of HS256, RS256, found 'HS265'
              |     algorithms: [HS265]
              |                  ^~~~~
              = did you mean 'HS256'?
            config.yaml:10:13: error: auth.users.secret: a secret cannot be written here
              |     secret: <hidden>
              |             ^
              = use { env: NAME } or { file: PATH }
            config.yaml:11:13: error: auth.users.leeway: expected a duration, found '10 seconds'
              |     leeway: 10 seconds
              |             ^~~~~~~~~~
              = write a number and a unit: 250ms, 30s, 5m
            config.yaml:15:5: error: pipelines.sales: unknown key 'puase'
              |     puase: 200ms
              |     ^~~~~
              = did you mean 'pause'?
            config.yaml:16:16: error: pipelines.bot.type: no pipeline plugin is called 'prrot' in this build; built in: echo, parrot
              |   bot: { type: prrot, key: <hidden> }
              |                ^~~~~
              = did you mean 'parrot'?
            config.yaml:20:19: error: tenants.default.auth[1]: there is no auth instance named 'embeds'
              |     auth: [users, embeds]
              |                   ^~~~~~
              = auth has: users
            config.yaml:21:15: error: tenants.default.pipeline: there is no pipeline instance named 'sale'
              |     pipeline: sale
              |               ^~~~
              = did you mean 'sales'? pipelines has: bot, sales
            """#
        #expect(faults(in: text) == expected)
    }

    @Test(
        "each has its own message",
        arguments: [
            ("ice: { inbound: privat }", "there is no ICE policy instance named 'privat'"),
            ("match: { path: t/acme }", "expected a path that starts with / and does not end with it, found 't/acme'"),
            ("match: { path: /api }", "expected a path that starts with / and does not end with it, found '/api'"),
            (
                "match: { path: /embed/a }",
                "expected a path that starts with / and does not end with it, found '/embed/a'"
            ),
            (
                "match: { path: /2010-04-01 }",
                "expected a path that starts with / and does not end with it, found '/2010-04-01'"
            ),
            ("match: { host: a, path: /b }", "expected either a host or a path"),
            ("match: [any, any]", "the tenant 'default' has the same match: any"),
            ("match: [any, any]", "  |     match: [any, any]"),
            ("match: { host: '*.acme.example' }", "  = there are no wildcards: write each host"),
            ("match: { host: 'https://voice.acme.example' }", "  = without the scheme, the path and the port"),
            ("match: { host: bücher.example }", "  = write it as it is in the DNS: xn--bcher-kva.example"),
            ("match: { host: acme.example. }", "  = without the dot at its end"),
            ("match: { host: 'acme.example:8080' }", "  = requests at any port match"),
            ("match: { host: acme.example/t }", "  = a path is a match of its own: { path: /t/acme }"),
            ("match: { host: '[::1]' }", "  = an IPv6 address is no name"),
            ("match: nowhere", "expected any, { host: NAME } or { path: /PREFIX }, found 'nowhere'"),
            ("auth: []", "the auth chain is empty, so nobody could call"),
            ("auth: ~", "expected a list, found '~'"),
            ("pipelines: { seven: bot }", "expected a workflow id, found 'seven'"),
            ("pipelines: { \"7\": bt }", "there is no pipeline instance named 'bt'"),
            ("quotas: [seats]", "there is no quota instance named 'seats'"),
            ("quotas: [bot]", "  = 'bot' is an instance under pipelines. quotas has: nothing"),
            ("allow_anonymous: yes", "expected true or false, found 'yes'"),
            ("limits: { call: 25h }", "expected a duration from 1s to 1d, found '25h'"),
            ("limits: { grace: 121s }", "expected a duration from 0 to 2m, found '121s'"),
            ("limits: { sockets: 1001 }", "expected a whole number from 1 to 1000, found '1001'"),
            ("limits: { idle: 0s }", "expected a duration from 1s to 1d, found '0s'"),
            ("enabled: true", "unknown key 'enabled'"),
        ])
    func tenant(line: String, message: String) {
        let fields = ["match: any", "allow_anonymous: true", "auth: []", "pipeline: bot"].filter { field in
            field.prefix { $0 != ":" } != line.prefix { $0 != ":" } && !(line == "auth: []" && field.hasPrefix("allow"))
        }
        let tenant = (fields + [line]).map { "    \($0)" }.joined(separator: "\n")
        let text = "version: 1\npipelines: { bot: { type: echo } }\ntenants:\n  default:\n\(tenant)\n"
        let printed = faults(in: text)
        #expect(printed.components(separatedBy: "error: ").count == 2, "\(printed)")
        #expect(printed.contains(message.hasPrefix("  ") ? message : ": \(message)\n"), "\(printed)")
    }

    @Test(
        "a list of names that is none has one fault, which says what to write and lets nobody in",
        arguments: [
            ("auth: door", "expected a list, found 'door'", "write [door]"),
            ("auth: door, gate", "expected a list, found 'door, gate'", "write [door, gate]"),
            ("auth: dor", "expected a list, found 'dor'", "write [one, two], or a line '- one' for each"),
            (
                "auth: { own: { type: jwt, secret: hunter2 } }", "expected a list, found keys and values",
                "instances are declared under `auth` in config.yaml; name them here: [own]"
            ),
            (
                "auth: { type: jwt, secret: { file: data/jwt.secret } }", "expected a list, found keys and values",
                "instances are declared under `auth` in config.yaml; name them here: [NAME]"
            ),
            (
                "auth: {}", "expected a list, found keys and values",
                "instances are declared under `auth` in config.yaml; name them here: [NAME]"
            ),
            ("auth: []", "the auth chain is empty, so nobody could call", "name instances in it. auth has: door, gate"),
            ("auth:", "the auth chain is empty, so nobody could call", "name instances in it. auth has: door, gate"),
            (
                "runs: open", "the auth chain is empty, so nobody could call",
                "name instances of 'auth', or write allow_anonymous: true to let everybody in"
            ),
            ("auth: [door]\n    quotas: seats", "expected a list, found 'seats'", "write [seats]"),
            (
                "auth: [door]\n    quotas: { own: { type: concurrency } }", "expected a list, found keys and values",
                "instances are declared under `quotas` in config.yaml; name them here: [own]"
            ),
        ])
    func lists(lines: String, message: String, help: String) {
        let text = """
            version: 1
            auth:
              door: { type: jwt, algorithms: [], secret: { file: data/jwt.secret } }
              gate: { type: jwt, algorithms: [], secret: { file: data/jwt.secret } }
            quotas: { seats: { type: concurrency, limit: 1 } }
            pipelines: { bot: { type: echo } }
            tenants:
              t:
                match: any
                pipeline: bot
                \(lines)
            """
        let error = #expect(throws: Faults.self) { try load(text) }
        #expect(error?.faults.map(\.message) == [message])
        #expect(error?.faults.first?.help == help)
        #expect(error?.description.contains("hunter2") == false)
    }

    @Test("what is no tenant at all has one fault")
    func noTenant() {
        let error = #expect(throws: Faults.self) { try load("version: 1\ntenants: { t: nobody }\n") }
        #expect(
            error?.faults.map { "\($0.path): \($0.message)" } == ["tenants.t: expected keys and values, found 'nobody'"]
        )
    }

    @Test("callers whom nobody knows have events only where they are let in")
    func anonymousEvents() {
        let text = """
            version: 1
            auth: { door: { type: jwt, algorithms: [], secret: { file: data/jwt.secret } } }
            pipelines: { bot: { type: echo } }
            tenants: { t: { match: any, auth: [door], pipeline: bot, events: { anonymous: all } } }
            """
        let printed = faults(in: text)
        #expect(
            printed.contains("tenants.t.events.anonymous: the tenant has no callers whom nobody knows"), "\(printed)")
        #expect(printed.contains("= add allow_anonymous: true"), "\(printed)")
    }

    @Test(
        "YAML that leads astray is refused where it does",
        arguments: [
            ("server: &a { listen: 127.0.0.1:1 }", "1:9: error: server: anchors (&name) are refused"),
            ("server: *a", "1:9: error: found undefined alias|1:9: error: server: aliases (*name) are refused"),
            ("server:\n  <<: { listen: 127.0.0.1:1 }", "2:3: error: server: merge keys (<<) are refused"),
            ("server:\n  listen: !!str a:1", "2:11: error: server.listen: tags (!name) are refused"),
            ("media: {}\nserver: {}\nmedia: {}", "3:1: error: the key 'media' is here twice"),
            ("media: {}\n---\nserver: {}", "2:1: error: a configuration is one document; here starts a second one"),
            ("server:\n\tlisten: a:1", "2:1: error: a tab cannot indent YAML"),
            ("server: [1,\n  2", "2:4: error: did not find expected ',' or ']' while parsing a flow sequence"),
            ("server: [1,\n  2", "  = it begins in line 1"),
            ("origins: [shop.example, *.shop.example]", "= what begins with * is quoted: '*.shop.example'"),
            ("origins: [*]", "= what begins with * is quoted: '*.shop.example'"),
            ("match: { host: ${ACME_HOST} }", "= a variable inside { } or [ ] is quoted: \"${NAME}\""),
            ("auth: [${ACME}]", "= a variable inside { } or [ ] is quoted: \"${NAME}\""),
            ("\u{FEFF}version: 1\nmeida: {}\ntenants: {}", "2:1: error: unknown key 'meida'"),
            ("\u{FEFF}verson: 1", "1:1: error: unknown key 'verson'"),
            ("media: {}\nserver\n", "2:1: error: could not find expected ':' while scanning a simple key"),
            ("server:\n  listen: 'a\u{7}b'", "2:13: error: control characters are not allowed"),
            ("[a]: b", "1:1: error: a key is one word, not a list or a map"),
            (String(repeating: "[", count: 17), "1:17: error: more than 16 levels of lists and maps"),
            ("\(String(repeating: "k", count: 129)): 1", "1:1: error: a key is longer than 128 bytes"),
            (
                "server: { listen: \"${NOWHERE}\" }",
                "1:19: error: server.listen: the environment variable 'NOWHERE' is not set"
            ),
            ("server: { listen: \"${A\" }", "1:19: error: server.listen: '${' without '}'"),
            ("", "1:1: error: missing key 'version'"),
            ("just text", "1:1: error: expected keys and values, found text"),
            ("auth:\n  a b: { type: jwt }", "2:3: error: auth.a b: 'a b' is no name"),
            (
                "auth:\n  anonymous: { type: jwt }",
                "2:3: error: auth.anonymous: 'anonymous' stands for callers whom nobody knows"
            ),
            ("auth:\n  a: {}", "2:3: error: auth.a: missing key 'type'"),
            (
                "media: { ports: 1000-1001, loops: 3 }",
                "1:35: error: media.loops: 3 loops need 3 ports, and 'ports' has 2"
            ),
            (
                "media: { relay: true }",
                "1:17: error: media.relay: relaying needs a TURN server, and ice_servers has none"
            ),
            (
                "media: { relay: true, ice_lite: true }",
                "1:17: error: media.relay: a relay is of no use to an ICE-lite agent, which is to be reached directly"
            ),
            (
                "media: { opus: { complexity: 11 } }",
                "media.opus.complexity: expected a whole number from 0 to 10, found '11'"
            ),
            ("media: { opus: { bitrate: 5999 } }", "expected a whole number from 6000 to 128000, found '5999'"),
            ("media: { opus: { bitrate: 32k } }", "expected a whole number, found '32k'"),
            (
                "media: { opus: { bandwidth: superwiede } }",
                "expected one of narrow, medium, wide, superwide, full, found 'superwiede'"
            ),
            ("media: { opus: { bandwidth: superwiede } }", "= did you mean 'superwide'?"),
            ("media: { opus: { complexty: 5 } }", "media.opus: unknown key 'complexty'"),
            (
                "server: { trusted_proxies: [10.0.0.0/33] }",
                "expected an IP address or a range such as 10.0.0.0/8, found '10.0.0.0/33'"
            ),
            (
                "server: { playground: emb_demo, drain: 61m }",
                "1:11: error: server: 'playground' is a tenant's setting\n  | server: { playground: emb_demo, drain: 61m }"
            ),
            ("server: { playground: emb_demo, drain: 61m }", "1:40: error: server.drain: expected a duration"),
            ("server: { drain: 61m }", "1:18: error: server.drain: expected a duration from 0 to 1h, found '61m'"),
            ("tenants: { t: { ice: auto, origins: any, match: any } }", "{ ice: auto, origins: any, match: any }"),
            ("media: { addresses: [localhost] }", "expected an IP address, found 'localhost'"),
            ("media: { public_address: gateway.example }", "expected an IP address, found 'gateway.example'"),
            (
                "media: { public_address: [203.0.113.5, 203.0.113.6] }",
                "the gateway has one public address for each IP version"
            ),
            ("media: { public_address: [] }", "the gateway has one public address for each IP version"),
            ("media: { public_address: 127.0.0.1 }", "nobody elsewhere reaches 127.0.0.1"),
            ("media: { public_address: 0.0.0.0 }", "nobody elsewhere reaches 0.0.0.0"),
            ("media: { public_address: ['::ffff:169.254.0.1'] }", "nobody elsewhere reaches ::ffff:169.254.0.1"),
            ("quotas: { s: { type: concurrency, limit: 0 } }", "expected a whole number from 1 to 10000, found '0'"),
            ("auth: { e: { type: embed_token, store: locl, tokens: [] } }", "there is no store instance named 'locl'"),
        ])
    func refused(text: String, expected: String) {
        let printed = faults(in: text)
        #expect(expected.split(separator: "|").contains { printed.contains($0) }, "\(printed)")
    }

    @Test("a text larger than 256 KiB is refused as a whole")
    func tooLarge() {
        let printed = faults(in: String(repeating: "#", count: 256 * 1024 + 1))
        #expect(printed.contains("1:1: error: the configuration is larger than 256 KiB"))
    }

    @Test("a plugin's own fault is shown at the setting it is about")
    func settingsFault() throws {
        let configuration = try load(stock())
        let instance = try #require(configuration.instances[.auth]?["users"])
        let fault = configuration.fault(SettingsFault("HS256 needs 32 bytes", field: "secret"), in: instance)
        #expect(
            fault.description.hasSuffix(
                """
                error: auth.users.secret: HS256 needs 32 bytes
                  |     secret: { file: data/jwt.secret }
                  |             ^~~~~~~~~~~~~~~~~~~~~~~~~
                """))
        #expect(
            configuration.fault(SettingsFault("no"), in: instance).description.contains("  |   users:\n  |   ^~~~~"))
    }

    @Test(
        "one about a part of the setting is shown at that part, or as near as there is one",
        arguments: [
            ([], "tokens", 7, 7, 14), ([1], "tokens[1]", 9, 9, 12), ([1, "token"], "tokens[1].token", 9, 16, 5),
            ([1, "allowed_domains", 1], "tokens[1].allowed_domains[1]", 11, 38, 10),
            ([1, "active"], "tokens[1]", 9, 9, 12), ([1, 0], "tokens[1]", 9, 9, 12),
            ([1, "token", "x"], "tokens[1].token", 9, 16, 5), ([7], "tokens", 7, 7, 14),
            ([.index(-1)], "tokens", 7, 7, 14),
            (["token"], "tokens", 7, 7, 14),
        ] as [([SettingsFault.Step], String, Int, Int, Int)])
    func partOfSetting(place: [SettingsFault.Step], path: String, line: Int, column: Int, length: Int) throws {
        let configuration = try load(
            """
            version: 1
            auth:
              embeds:
                type: embed_token
                store: memory
                tokens:
                  - token: emb_a
                    workflow: 1
                  - token: emb_b
                    workflow: 1
                    allowed_domains: [b.example, b..example]
            pipelines: { e: { type: echo } }
            tenants: { t: { match: any, auth: [embeds], pipeline: e } }
            """)
        let instance = try #require(configuration.instances[.auth]?["embeds"])
        let fault = configuration.fault(SettingsFault("no", field: "tokens", at: place), in: instance)
        #expect(fault.path == "auth.embeds.\(path)")
        #expect(fault.line == line && fault.column == column && fault.length == length, "\(fault)")
    }

    @Test("a name with a line break in it stays in one line")
    func lineBreak() {
        let printed = faults(in: "version: 1\nauth: { \"a\\nb\": { type: none } }\ntenants: {}\n")
        #expect(printed.contains("error: auth.a\u{FFFD}b.type: no auth plugin is called 'none' in this build"))
    }

    @Test("that a variable is not set is known of a fault whatever it says")
    func unsetVariables() {
        let text = """
            version: 1
            server: { listen: "${NOWHERE}" }
            auth: { u: { type: jwt, algorithms: [HS256], secret: { env: NONE } } }
            pipelines: { e: { type: "the environment variable 'X' is not set" }, f: { type: "${A" } }
            tenants: { t: { match: any, auth: [u], pipeline: e } }
            """
        let error = #expect(throws: Faults.self) { try load(text) }
        #expect(error?.faults.map(\.line) == [2, 3, 4, 4])
        #expect(error?.faults.map(\.isUnsetVariable) == [true, true, false, false])
    }

    @Test("JSON has the position, the length and the help")
    func json() throws {
        let error = #expect(throws: Faults.self) { try load("version: 1\ntenants: {}\nmeida: {}\n") }
        let fault: JSONValue = [
            "file": "config.yaml", "line": 3, "column": 1, "length": 5, "path": "", "message": "unknown key 'meida'",
            "help": "did you mean 'media'?", "severity": "error",
        ]
        #expect(error?.json == [try #require(error?.faults.first?.json), fault])
    }

    @Test("what passes though nobody would want it is warned of where it stands")
    func warnings() throws {
        struct Seats: PluginSettings {
            @Field("Calls at the same time", in: 0...10) var limit: Int
        }
        var plugins = catalogue
        plugins[.quota] = [PluginDescription(type: "seats", summary: "", settings: Seats.self)]
        let text = """
            version: 1
            stores: { memory: { type: sqlite, path: a.db }, disk: { type: sqlite, path: b.db } }
            auth: { users: { type: jwt, algorithms: [], secret: { env: KEY } } }
            quotas: { shut: { type: seats, limit: 0 }, one: { type: seats, limit: 1 } }
            pipelines: { bot: { type: echo } }
            ice_policies: { private: { type: public }, all: { type: all } }
            tenants:
              t: { match: any, auth: [users, users], quotas: [one, shut, one], pipeline: bot, store: disk }
            """
        let warnings = try GatewayConfiguration.load(text: text, environment: ["KEY": "k"], catalogue: plugins)
            .warnings
        #expect(
            warnings.map { "\($0.line):\($0.column) \($0.path): \($0.message)" } == [
                "2:11 stores.memory: it takes the place of the built-in 'memory', and is of type sqlite",
                "4:39 quotas.shut.limit: a limit of 0 lets no call in",
                "6:17 ice_policies.private: it takes the place of the built-in 'private', and is of type public",
                "8:34 tenants.t.auth[1]: 'users' is in the list already",
                "8:62 tenants.t.quotas[2]: 'one' is in the list already",
            ])
        #expect(warnings.allSatisfy { $0.isWarning && $0.json["severity"] == "warning" })
        #expect(warnings.first?.description.contains(": warning: stores.memory: ") == true)
    }

    @Test("a line too long to print is cut around the caret")
    func longLine() {
        let printed = faults(in: "version: 1\nmedia: { \((1...99).map { "key\($0): 1" }.joined(separator: ", ")) }")
        #expect(printed.contains("  |  key1: 1, key2: 1") == false && printed.contains("unknown key 'key99'"))
        #expect(printed.split(separator: "\n").allSatisfy { $0.count < 200 })
    }
}

/// The text of the repository's config.yaml.
func stock() throws -> String {
    try String(contentsOfFile: stockPath, encoding: .utf8)
}
