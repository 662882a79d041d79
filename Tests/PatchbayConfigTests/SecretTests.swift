import Glibc
import PatchbayConfig
import PatchbayPlugin
import Testing

@Suite("Secrets")
struct SecretTests {
    struct Holder: PluginSettings {
        @Field("Key") var key: Secret
        @Field("Old keys") var oldKeys: [Secret] = []
        @Field("Wait") var wait: Duration = .zero
    }

    @Test("come from the environment, or from a file without its last line break")
    func sources() throws {
        let fromEnvironment = try decodeSettings(
            Holder.self, yaml: "key: { env: KEY }", environment: ["KEY": "hunter2"])
        #expect(fromEnvironment.key.withValue { $0 } == "hunter2")
        for (content, value) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")] {
            let fromFile = try decodeSettings(Holder.self, yaml: "key: { file: k }") { _ in Array(content.utf8) }
            #expect(fromFile.key.withValue { $0 } == value)
        }
    }

    @Test("are read beside the configuration file")
    func folder() throws {
        let text =
            "version: 1\nauth: { u: { type: jwt, algorithms: [], secret: { file: k } } }\npipelines: { e: { type: echo } }\n"
            + "tenants: { t: { match: any, auth: [u], pipeline: e } }"
        for (file, expected) in [("config.yaml", "k"), ("/etc/p/config.yaml", "/etc/p/k"), ("/config.yaml", "//k")] {
            _ = try GatewayConfiguration.load(
                text: text, file: file, environment: [:],
                readFile: { path in
                    #expect(path == expected)
                    return [65]
                }, catalogue: catalogue)
        }
    }

    @Test(
        "that cannot be had are named",
        arguments: [
            ("{ env: NONE }", "the environment variable 'NONE' is not set"),
            ("{ env: EMPTY }", "the environment variable 'EMPTY' is empty"),
            ("{ file: none }", "cannot read the secret's file 'none': No such file or directory"),
            ("{ file: blank }", "the file 'blank' is empty"),
            ("{ file: binary }", "the secret's file 'binary' is not UTF-8 text"),
            ("{ file: a, env: b }", "a secret comes from one place"),
            ("{}", "a secret comes from one place"),
            ("", "expected a secret, found nothing"),
        ])
    func missing(source: String, message: String) {
        let error = #expect(throws: Faults.self) {
            try decodeSettings(Holder.self, yaml: "key: \(source)", environment: ["EMPTY": ""]) { path in
                let files: [String: [UInt8]] = ["blank": [10], "binary": [0xff]]
                guard let bytes = files[path] else { throw NoSuchFile() }
                return bytes
            }
        }
        #expect(error?.faults.map(\.message) == [message])
    }

    @Test("a pipe has none: a reload would wait for somebody to write into it")
    func pipe() throws {
        let path = "/tmp/patchbay-pipe-\(UInt64.random(in: 0 ... .max))"
        #expect(unsafe mkfifo(path, 0o600) == 0)
        defer { _ = unsafe unlink(path) }
        let error = #expect(throws: Faults.self) { try decodeSettings(Holder.self, yaml: "key: { file: \(path) }") }
        #expect(error?.faults.first?.message.hasSuffix("it is not a regular file") == true)
    }

    @Test(
        "never print, wherever they were typed",
        arguments: [
            "key: hunter2",
            "key: \"hunter2\"  # note\nwait: soon",
            "key: |\n  one\n  hunter2\n  three\nwait: soon",
            "key: [hunter2]",
            "key: { value: hunter2 }",
            "key: { env: A, hunter: hunter2 }",
            "kye: hunter2",
            "frobnicate: hunter2",
            "frobnicate: { deep: [hunter2] }",
            "{ wait: soon, key: hunter2, wiat: 3s }",
            "old_keys: hunter2",
            "old_keys: [hunter2, { env: A }]",
            "key: { env: A }\nkey: hunter2",
            "key: &anchor hunter2",
            "key: *hunter2",
            "key: [a, *hunter2]",
            "key: !tag hunter2",
            "<<: { key: hunter2 }",
            "key: \"hunter2",
            "key: hunter2: x",
            "key: \"hunter2\n  and more\nwait: [",
            "old_keys: [hunter2, \"",
            "- hunter2",
            "key: { env: A, file: hunter2 ",
            "key: ${A}hunter2",
            "key: ${B}",
        ])
    func hidden(yaml: String) {
        let error = #expect(throws: Faults.self) {
            try decodeSettings(Holder.self, yaml: yaml, environment: ["A": "x", "B": "hunter2"])
        }
        let printed = "\(error?.description ?? "") \(error?.json.description ?? "")"
        #expect(!printed.contains("hunter2"), "\(printed)")
        #expect(printed.contains("error: "))
    }

    @Test(
        "do not print where they stand in a URL, whatever the setting is",
        arguments: [
            "auth:\n  u: { type: jwt, algorithms: [], issuer: \"https://u:hunter2@a.example/x\", secret: { file: none } }",
            "auth:\n  u: { type: jwt, algorithms: [], issuer: \"https://u:hunt/hunter2@a.example\", leeway: soon }",
            "server: { listen: \"https://u:hunter2@a.example\" }",
            "server: { listen: \"https://u:hunter2@a.example\", admin: x }",
            "media: { addresses: \"https://u:hunter2@a.example\" }",
            "ice_servers: [{ urls: [\"turn://u:hunter2@a.example\"] }]",
            "pipelines: { e: { type: \"https://u:hunter2@a.example\" } }",
            "tenants: { t: { match: { host: \"https://u:hunter2@a.example\" }, origins: [\"https://u:hunter2@a.example:x\"] } }",
            "tenants: { t: { match: [\"https://u:hunter2@a.example\"], playgrund: \"https://u:hunter2@a.example\" } }",
            "server: { listen: \"https://u:hunter2@a.example\", [",
            "auth:\n  u: { type: jwt, algorithms: [], issuer: \"https://a.example/x?api_key=hunter2\", leeway: soon }",
            "auth:\n  u: { type: jwt, algorithms: [], issuer: \"https://u:x@a.example?b=c&token=hunter2\", secret: { file: none } }",
            "server: { listen: \"wss://a.example?access_token=hunter2\", admin: x }",
            "media: { addresses: \"a.example?signature=hunter2\" }",
            "pipelines: { e: { type: \"wss://a.example?clientSecret=hunter2\" } }",
            "tenants: { t: { match: { host: \"https://a.example?x=1&key=hunter2\" }, auth: \"a?pwd=hunter2\" } }",
            "server: { listen: \"https://a.example?token=hunter2\", [",
            "auth: \"https://a.example/?token=abc@hunter2\"",
            "auth: \"https://u:x@a.example/?token=abc@hunter2\"",
            "auth: \"a?token=hunter2&next=https://u@a.example\"",
            "auth: \"https://a.example/?token=hunter2${NONE:-}\"",
            "auth:\n  u:\n    secret:\n      X-Auth: @hunter2",
            "auth:\n  u:\n    secret:\n      X-Team: a\n      X-Auth2: \"hunter2",
            "{\"auth\": {\"u\": {\"token\" : \"hunter2",
        ])
    func userInfo(yaml: String) {
        let printed = faults(in: "version: 1\n" + yaml)
        #expect(printed.contains("error: ") && !printed.contains("hunter2"), "\(printed)")
        #expect(printed.contains("<hidden>"), "\(printed)")
    }

    @Test("do not stand among the parameters of a URL, but the environment may have them")
    func parameters() throws {
        struct Bot: PluginSettings {
            @Field("Where it is") var url: String
        }
        let error = #expect(throws: Faults.self) {
            try decodeSettings(Bot.self, yaml: "url: wss://a.example/y?v=1&token=hunter2")
        }
        #expect(
            error?.description == """
                settings.yaml:1:6: error: url: 'token' is a secret, which does not stand here
                  | url: <hidden>
                  |      ^
                  = write token=${NAME}, and have the environment say it
                """)
        let bot = try decodeSettings(
            Bot.self, yaml: "url: wss://a.example/y?v=1&token=${T}", environment: ["T": "hunter2"])
        #expect(bot.url == "wss://a.example/y?v=1&token=hunter2")
    }

    @Test(
        "are known by their names",
        arguments: [
            ("Authorization", true), ("proxy-authorization", true), ("Cookie", true), ("Set-Cookie", true),
            ("X-Api-Key", true), ("x_api_key", true), ("apiKey", true), ("APIKEY", true), ("X-APIKey", true),
            ("key", true), ("token", true), ("accessToken", true), ("accesstoken", true), ("client.secret", true),
            ("X-Amz-Signature", true), ("X-Amz-Credential", true), ("PASSWORD", true), ("", false), ("-", false),
            ("monkey", false), ("keys", false), ("Key-Id", false), ("max_output_tokens", false), ("model", false),
            ("accesskey", true), ("subscriptionkey", true), ("secret_key", true), ("public_key", false),
            ("Idempotency-Key", false), ("X-Routing-Key", false), ("sortKey", false), ("X-Team", false),
            ("workflow_id", false), ("secretary", false),
        ])
    func names(name: String, isCredential: Bool) {
        #expect(namesCredential(name) == isCredential)
    }

    @Test("never print in a whole configuration either")
    func wholeConfiguration() throws {
        let hidden = try stock().replacing("{ file: data/jwt.secret }", with: "hunter2")
        for text in [
            hidden, hidden.replacing("secret:", with: "secert:"), hidden.replacing("jwt", with: "jwtt"),
            hidden + "\n ]",
        ] {
            let printed = faults(in: text)
            #expect(printed.contains("error: ") && !printed.contains("hunter2"), "\(printed)")
        }
    }

    @Test("have no path to their value but withValue")
    func opaque() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        dump([secret], to: &dumped)
        let texts = [
            "\(secret)", String(reflecting: secret), String(describing: [secret]), dumped, "\(secret.written)",
        ]
        #expect(texts.allSatisfy { !$0.contains("hunter2") })
        #expect(!((secret as Any) is any Encodable))
    }
}
