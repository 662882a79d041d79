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
