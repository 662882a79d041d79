import PatchbayPlugin
import PatchbayTesting
import Synchronization
import TestSupport
import Testing

@testable import DograhQuota

@Suite("Dograh: settings and directories")
struct DograhSettingsTests {
    private static let key = Leaks.secret("a service key", "key-a-of-an-organisation")
    private static let directory = """
        directory: { organizations: { "9": { members: [7, "8"], workflows: { "33": { owner: "7",
          managed_service_version: 2, llm: { provider: dograh, service_keys: [{ env: A }] },
          embeddings: { provider: dograh, service_keys: [{ env: B }, { env: A }] }, stt: { provider: x } } } } } }
        """

    private func configured(_ yaml: String) throws -> DograhQuota {
        try DograhQuota.watched(
            "{ \(yaml) }", environment: ["A": Self.key, "B": "key-b-of-an-organisation"],
            stores: ["local": MemoryStore()])
    }

    @Test(
        "what cannot be is refused, at the setting that is wrong",
        arguments: [
            ("mode: oss", nil), ("mode: oss, store: nowhere", nil), ("mode: oss, store: local, \(directory)", "store"),
            (#"mode: oss, directory: { organizations: { "9": { workflows: { a: {} } } } }"#, "directory"),
            ("mode: oss, store: local, url: services.dograh.com", "url"),
            ("mode: oss, store: local, url: ftp://a", "url"), ("mode: oss, store: local, url: 'https://'", "url"),
            ("mode: oss, store: local, url: 'https://a b'", "url"),
            ("mode: oss, store: local, url: 'https://u:p@a'", "url"),
            ("mode: oss, store: local, url: 'https://a/?b'", "url"),
            ("mode: oss, store: local, url: 'http://services.dograh.com'", "url"),
            ("mode: oss, store: local, url: 'HTTP://10.0.0.7:8080/mps'", "url"),
        ] as [(String, String?)])
    func faults(yaml: String, field: String?) {
        let fault = #expect(throws: SettingsFault.self) { try configured(yaml) }
        #expect(fault?.field == field, "\(fault?.description ?? "")")
    }

    @Test(
        "keys go over https, or stay on this machine",
        arguments: ["https://mps.example/a/", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:8080/"])
    func addresses(url: String) {
        #expect(throws: Never.self) { try configured("mode: oss, store: local, url: '\(url)'") }
    }

    @Test("there is no mode but the two", arguments: ["", "mode: both, "])
    func mode(yaml: String) {
        #expect(throws: (any Error).self) { try configured("\(yaml)store: local") }
    }

    @Test("a directory in the configuration knows what stands there, and each run")
    func directoryInSettings() async throws {
        var settings = DirectorySettings()
        var (organization, workflow, service) = (
            DirectorySettings.Organization(), DirectorySettings.Workflow(), DirectorySettings.Service()
        )
        (service.provider, service.serviceKeys) = ("dograh", [Secret(Self.key)])
        (workflow.owner, workflow.managedServiceVersion, workflow.tts) = ("7", 2, service)
        (organization.members, organization.workflows) = (["7"], ["33": workflow])
        settings.organizations = ["9": organization]
        let directory = try SettingsDirectory(settings)
        #expect(await directory.workflow(33, of: "8") == nil)
        #expect(await directory.workflow(34, of: "9") == nil)
        let found = try #require(await directory.workflow(33, of: "9"))
        #expect(await directory.owner(of: found) == "7")
        #expect(await directory.isMember("7", of: "9"))
        #expect(await !directory.isMember("8", of: "9"))
        #expect(await !directory.isMember("7", of: "8"))
        let run = await directory.run(5, for: found)
        #expect(run?.workflowID == 33)
        let configuration = await directory.configuration(of: found, run: run)
        #expect(configuration.isManagedV2)
        #expect(configuration.serviceKeys.map { $0.withValue { $0 } } == [Self.key])
    }

    @Test("a question may take 10 s, as with Dograh, unless the settings say otherwise")
    func defaultTimeout() {
        #expect(DograhQuota.Settings().timeout == .seconds(10))
    }

    @Test(
        "callers whose credential names no organisation have the settings'; runs can be left out, and those of embed pages are",
        arguments: [
            ("9", nil, true, nil), ("8", "9", true, nil), ("9", nil, false, nil),
            ("8", "9", true, .embedToken("emb_a")),
        ] as [(String, String?, Bool, RunOwner?)])
    func organizationAndRuns(
        configured: String, credential: String?, sendRuns: Bool, owner: RunOwner?
    ) async throws {
        let sendsRuns = sendRuns && owner == nil
        var settings = DograhQuota.Settings()
        var (directory, organization, workflow, service) = (
            DirectorySettings(), DirectorySettings.Organization(), DirectorySettings.Workflow(),
            DirectorySettings.Service()
        )
        (service.provider, service.serviceKeys) = ("dograh", [Secret(Self.key)])
        (workflow.owner, workflow.managedServiceVersion, workflow.llm) = ("7", 2, service)
        (organization.members, organization.workflows) = (["7"], ["33": workflow])
        directory.organizations = ["9": organization]
        (settings.mode, settings.organization, settings.sendRuns) = (.hosted, configured, sendRuns)
        settings.directory = directory

        let body = Mutex(JSONValue.null)
        let quota = try DograhQuota(
            settings: settings, context: PluginContext(name: "credits", logger: .watched) { .zero }
        ) { request in
            let asked = try JSONValue(parsing: request.body)
            body.withLock { $0 = asked }
            let verdict = #"{"allowed":true,"remaining_credits":1,"correlation_id":"c-1"}"#
            return BillingReply(status: 200, body: Array(verdict.utf8))
        }
        let request = CallRequest(
            callID: "1", tenant: "default",
            principal: Principal(id: "7", organization: credential, runOwner: owner), workflowID: 33, workflowRunID: 88)
        let lease = try #require(try await quota.admit(request).lease)
        #expect(lease.metadata == (sendsRuns ? ["mps_correlation_id": "c-1"] : [:]))
        let asked = body.withLock { $0 }
        #expect(asked["workflow_run_id"] == (sendsRuns ? 88 : .null))
        #expect(asked["service_key"] == (sendsRuns ? .string(Self.key) : .null))
    }

    @Test(
        "takes a caller's word for a run where a directory in the file is asked about it",
        arguments: [
            ("mode: oss, \(directory)", true), ("mode: hosted, \(directory)", true),
            ("mode: hosted, \(directory), send_runs: false", false), ("mode: hosted, store: local", false),
        ] as [(String, Bool)])
    func runNumbers(yaml: String, areShared: Bool) throws {
        #expect(try configured(yaml).sharesRunNumbers == areShared)
    }

    @Test("is read from YAML, keys by their variables")
    func yaml() throws {
        _ = try configured("mode: hosted, \(Self.directory)")
        _ = try configured("mode: oss, store: local")
    }

    @Test("does what every quota must, where nobody has to be asked")
    func conforms() async throws {
        let directory = #"{ organizations: { "9": { members: ["7"], workflows: { "1": { owner: "7" } } } } }"#
        try await PluginConformance.check(
            DograhQuota.self, yaml: #"{ mode: oss, organization: "9", directory: \#(directory) }"#, logger: .watched)
    }
}
