import Foundation
import PatchbayConfig
import PatchbayPlugin
import Testing

@Suite("The tests of a configuration")
struct TestCaseTests {
    private let base = """
        version: 1
        auth: { users: { type: jwt, algorithms: [HS256], secret: { env: KEY } } }
        pipelines: { echo: { type: echo } }
        tenants: { acme: { match: any, auth: [users], pipeline: echo } }

        """

    private func load(_ tests: String, files: [String: String] = [:]) throws(Faults) -> GatewayConfiguration {
        try GatewayConfiguration.load(
            text: base + tests, tests: files.sorted { $0.key < $1.key }.map { (file: $0.key, text: $0.value) }[...],
            environment: ["KEY": "k"], catalogue: catalogue)
    }

    private func faults(_ tests: String, files: [String: String] = [:]) -> Faults? {
        #expect(throws: Faults.self) { try load(tests, files: files) }
    }

    @Test("stand in the configuration and in further files, each with its place")
    func places() throws {
        let configuration = try load(
            """
            tests:
              - name: first
                connect: { host: voice.acme.example, path: /api/v1/ws/signaling/7/12, token: x, origin: "https://a.example" }
                expect: { outcome: accepted, tenant: acme, by: users, user: "7", workflow: 7, events: all, pipeline: echo }
              - { name: second, embed: { token: emb_demo, path: /t }, expect: { status: 403, by: "" } }
            """,
            files: [
                "more/a.yaml": """

                tests:
                  - name: third
                    candidate: { tenant: acme, direction: inbound, candidate: c }
                    expect: { kept: false }
                """,
                "more/b.yaml": "tests: []",
            ])
        let tests = configuration.tests
        #expect(
            tests.map { "\($0.file):\($0.line) \($0.name)" } == [
                "config.yaml:6 first", "config.yaml:9 second", "more/a.yaml:3 third",
            ])
        let connect = try #require(tests[0].connect)
        #expect(connect.path.segments == ["api", "v1", "ws", "signaling", "7", "12"])
        #expect(connect.host == "voice.acme.example" && connect.origin == "https://a.example")
        #expect(connect.address.written == "192.0.2.1" && connect.apiKey == nil)
        #expect(tests[0].expect.events == .all && tests[0].expect.user == "7" && tests[0].expect.kept == nil)
        #expect(tests[1].embed?.path.segments == ["t"] && tests[1].expect.by?.name == "")
        #expect(tests[2].candidate?.direction == .inbound && tests[2].expect.kept == false)
    }

    @Test("need nothing from outside before they run: a credential is fetched then, from beside its file")
    func credentials() throws {
        let tests = """
            tests:
              - { name: a, connect: { path: /x, token: { env: NONE } }, expect: { outcome: accepted } }
              - { name: b, connect: { path: /x, api_key: { file: k } }, expect: { outcome: accepted } }
              - { name: c, connect: { path: /x, token: { mint: users, user: "7", age: 2h } }, expect: { outcome: refused } }
            """
        let configuration = try load("", files: ["more/tests.yaml": tests])
        let token = try #require(configuration.tests[0].connect?.token)
        let missing = #expect(throws: SettingsFault.self) { try token.fetch(environment: [:]) }
        #expect(missing?.description == "the environment variable 'NONE' is not set")
        #expect(try token.fetch(environment: ["NONE": "t"]) == "t")
        let key = try #require(configuration.tests[1].connect?.apiKey)
        let text = try key.fetch(environment: [:]) { path in
            #expect(path == "more/k")
            return Array("secret\n".utf8)
        }
        #expect(text == "secret")
        guard case .minted(let minting)? = configuration.tests[2].connect?.token else {
            Issue.record("nothing is minted")
            return
        }
        #expect(minting.instance == "users" && minting.user == "7")
        #expect(minting.lifetime == .seconds(3600) && minting.age == .seconds(7200))
    }

    @Test(
        "have faults like all of it",
        arguments: [
            ("connect: { path: /x, tokn: y }, expect: { outcome: accepted }", "unknown key 'tokn'"),
            ("conect: { path: /x }, expect: { outcome: accepted }", "unknown key 'conect'"),
            ("expect: { outcome: accepted }", "a test has one of `connect`, `embed` and `candidate`"),
            (
                "connect: { path: /x }, embed: { token: e }, expect: { outcome: accepted }",
                "a test has one of `connect`, `embed` and `candidate`"
            ),
            ("connect: { path: /x }, expect: {}", "the test expects nothing, and so could not fail"),
            ("connect: { path: /x }, expect:", "the test expects nothing, and so could not fail"),
            (
                "connect: { path: /x }",
                "missing key 'expect' (What should come of it; what is not named is not looked at)"
            ),
            ("connect: { path: /x }, expect: { kept: true }", "'kept' is said of candidates, not of callers"),
            (
                "candidate: { tenant: acme, direction: inbound, candidate: c }, expect: { outcome: accepted }",
                "'outcome' is said of callers, not of candidates"
            ),
            (
                "candidate: { tenant: acne, direction: inbound, candidate: c }, expect: { kept: true }",
                "there is no tenant named 'acne'"
            ),
            (
                "candidate: { tenant: acme, direction: sideways, candidate: c }, expect: { kept: true }",
                "expected one of inbound, outbound, found 'sideways'"
            ),
            ("connect: { path: /x }, expect: { tenant: acne }", "there is no tenant named 'acne'"),
            ("connect: { path: /x }, expect: { by: usres }", "there is no auth instance named 'usres'"),
            ("connect: { path: /x }, expect: { pipeline: ecko }", "there is no pipeline instance named 'ecko'"),
            (
                "connect: { path: /x }, expect: { outcome: acepted }",
                "expected one of accepted, refused, found 'acepted'"
            ),
            (
                "connect: { path: /x, token: { mint: usres, user: a } }, expect: { outcome: accepted }",
                "there is no auth instance named 'usres'"
            ),
            (
                "connect: { path: /x, token: { env: A, file: b } }, expect: { outcome: accepted }",
                "a credential comes from one place"
            ),
            ("connect: { path: /x, token: {} }, expect: { outcome: accepted }", "a credential comes from one place"),
            (
                "connect: { path: /x, token: { env: A, user: a } }, expect: { outcome: accepted }",
                "'user' is about what an instance mints"
            ),
            (
                "connect: { path: x }, expect: { outcome: accepted }",
                "expected a path that starts with /, without a query, found 'x'"
            ),
            (
                "connect: { path: /x, address: nowhere }, expect: { outcome: accepted }",
                "expected an IP address, found 'nowhere'"
            ),
        ])
    func faulty(test: String, message: String) {
        #expect(faults("tests: [{ name: a, \(test) }]")?.faults.map(\.message) == [message])
        let elsewhere = faults("", files: ["t.yaml": "tests: [{ name: a, \(test) }]"])
        #expect(elsewhere?.faults.map(\.message) == [message])
        #expect(elsewhere?.faults.map(\.file) == ["t.yaml"])
    }

    @Test("with faults have their names looked at all the same")
    func namesBesideFaults() {
        let tests = """
            tests:
              - { name: a, connect: { path: /x, tokn: y }, expect: { by: usres, tenant: acne, pipeline: ecko } }
              - { name: b, connect: { path: /x, token: { mint: usres, user: a } }, expect: { outcom: accepted } }
            """
        #expect(
            faults(tests)?.faults.map(\.message) == [
                "unknown key 'tokn'", "there is no auth instance named 'usres'", "there is no tenant named 'acne'",
                "there is no pipeline instance named 'ecko'", "there is no auth instance named 'usres'",
                "unknown key 'outcom'",
            ])
    }

    @Test("may say that there is nothing, and that nobody knows the caller")
    func nothing() throws {
        let tests = try load(
            """
            tests:
              - { name: a, connect: { path: /x }, expect: { by: anonymous, organization: "" } }
              - { name: b, connect: { path: /x }, expect: { by: "", tenant: "", pipeline: "" } }
            """
        ).tests
        #expect(tests.map { $0.expect.by?.name } == ["anonymous", ""])
    }

    @Test("in a file of their own stand alone there")
    func file() {
        #expect(faults("", files: ["t.yaml": "test: []"])?.faults.count == 2)
        #expect(
            faults("", files: ["t.yaml": "tests: []\nversion: 1"])?.faults.map(\.message) == ["unknown key 'version'"])
        #expect(
            faults("", files: ["a.yaml": "tests: [", "b.yaml": "tests: {}"])?.faults.map(\.file) == [
                "a.yaml", "b.yaml",
            ])
    }

    @Test(
        "stand in a configuration, and in no file of their own, where the file has the top of one",
        arguments: [
            ("version: 1\ntests: []", true), ("tests: []\nversion: 1", true), ("tenants: {}", true),
            ("tenants_dir: tenants.d\ntests: []", true), ("\u{FEFF}version: 1", true),
            ("version: 1\r\ntests: [\r\n", true), ("tests: [\nversion: 1", true),
            ("tests: []", false), ("tests: [", false), ("tests:\n  - { version: 1 }", false), ("", false),
        ])
    func isConfiguration(text: String, isOne: Bool) throws {
        let file = "/tmp/patchbay-\(UInt64.random(in: 0 ... .max)).yaml"
        defer { try? FileManager.default.removeItem(atPath: file) }
        try Data(text.utf8).write(to: URL(filePath: file))
        #expect(ConfigurationText(reading: file).isConfiguration == isOne)
    }

    @Test("in files that cannot be read are faults beside those of the configuration")
    func unread() throws {
        let file = "/tmp/patchbay-\(UInt64.random(in: 0 ... .max)).yaml"
        defer { try? FileManager.default.removeItem(atPath: file) }
        try Data("\(base)nothing: 1".utf8).write(to: URL(filePath: file))
        let error = #expect(throws: Faults.self) {
            try GatewayConfiguration.load(
                ConfigurationText(reading: file), tests: ["/nowhere/t.yaml"].map(ConfigurationText.init(reading:)),
                environment: ["KEY": "k"], catalogue: catalogue)
        }
        #expect(
            error?.faults.map(\.message) == ["cannot read it: No such file or directory", "unknown key 'nothing'"])
    }

    @Test(
        "never print what they show, wherever it was typed",
        arguments: [
            "tests: [{ name: a, connect: { path: /x, token: hunter2, orgin: x }, expect: { outcome: accepted } }]",
            "tests: [{ name: a, connect: { path: /x, api_key: hunter2 }, expect: {} }]",
            "tests: [{ name: a, connect: { path: /x, tokn: hunter2 }, expect: { outcome: accepted } }]",
            "tests: [{ name: a, connect: { path: /x, token: [hunter2] }, expect: { outcome: accepted } }]",
            "tests: [{ name: a, connect: { path: /x, token: { text: hunter2 } }, expect: { outcome: accepted } }]",
            "tests: [{ name: a, connect: { path: '/x?token=hunter2' }, expect: { outcome: accepted } }]",
            "tests: [{ name: a, connect: { path: /x, token: hunter2 }, expect: { outcome: accepted }",
            "tests:\n  - name: a\n    connect:\n      path: /x\n      token: hunter2: x\n",
        ])
    func hidden(tests: String) {
        for faults in [faults(tests), faults("", files: ["t.yaml": tests])] {
            let printed = "\(faults?.description ?? "") \(faults?.json.description ?? "")"
            #expect(printed.contains("error: ") && !printed.contains("hunter2"), "\(printed)")
        }
        let credential = TestCredential.text(Secret("hunter2"))
        #expect(!"\(credential) \(credential.written)".contains("hunter2"))
    }
}
