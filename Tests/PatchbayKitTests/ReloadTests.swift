import Foundation
import Glibc
import Logging
import PatchbayBuiltin
import PatchbayConfig
import PatchbayPlugin
import Synchronization
import TestSupport
import Testing

@testable import PatchbayKit

/// What instances of ``NotedPlugin`` went through, in order.
private let lives = Mutex<[String: [String]]>([:])

/// Notes its life under a word of its settings.
private struct NotedPlugin: AuthPlugin {
    static let type = "noted"
    static let summary = "Notes its life."

    struct Settings: PluginSettings {
        @Field("Where it notes it") var book: String
        @Field("A number to change") var number: Int = 0
        @Field("A secret to change") var secret: Secret?
        @Field("A store to change") var store: StoreReference?
        @Field("Whether it cannot start") var fails: Bool = false
        @Field("Whether it never gets done with starting") var hangs: Bool = false
    }

    let settings: Settings

    init(settings: Settings, context: PluginContext) {
        self.settings = settings
        note("made")
    }

    private func note(_ what: String) {
        lives.withLock { $0[settings.book, default: []].append("\(settings.number) \(what)") }
    }

    func start() async throws {
        note("starts")
        if settings.fails { throw SettingsFault("no door") }
        // Whoever cancels it is not heard.
        if settings.hangs { await Task.detached { try? await Task.sleep(for: .seconds(60)) }.value }
    }

    func stop() async { note("stops") }

    func authenticate(_ request: ConnectRequest) async throws -> AuthOutcome { .pass }
}

@Suite("Reloading the configuration", .timeLimit(.minutes(1)))
struct ReloadTests {
    private let book = "\(UInt64.random(in: 0 ... .max))"
    private var noted: [String] { lives.withLock { $0[book] ?? [] } }

    private final class File: Sendable {
        let text: Mutex<String>
        let secret = Mutex(Leaks.secret("what is in $SECRET", "sesame-before-the-reload"))

        init(_ text: String) { self.text = Mutex(text) }

        func write(_ text: String) { self.text.withLock { $0 = text } }
    }

    private func file(_ settings: String, rest: String = "", listen: Int = 8080) -> String {
        """
        version: 1
        server: { listen: "127.0.0.1:\(listen)" }
        stores: { shelf: { type: sqlite, path: "/tmp/patchbay-\(book)\(rest).db" } }
        auth: { door: { type: noted, book: "\(book)"\(settings) } }
        pipelines: { echo: { type: echo } }
        tenants: { all: { match: any, auth: [door], pipeline: echo, store: shelf } }
        """
    }

    private func begin(
        _ file: File, log: any LogHandler = WatchedLog()
    ) async throws -> (CurrentDeployment, Reloader) {
        let plugins: [PluginRegistration] = .builtin + [.auth(NotedPlugin.self)]
        let logger = Logger(label: "test") { _ in log }
        let load: @Sendable () throws(Faults) -> GatewayConfiguration = { () throws(Faults) in
            try GatewayConfiguration.load(
                text: file.text.withLock(\.self), environment: ["SECRET": file.secret.withLock(\.self)],
                catalogue: plugins.catalogue)
        }
        let configuration = try load()
        let deployment = try Deployment(configuration, plugins: plugins, logger: logger, wallClock: { .zero })
        try await deployment.start()
        let served = CurrentDeployment(deployment)
        let reloader = Reloader(
            served, configuration, plugins: plugins, logger: logger, patience: .milliseconds(200), load: load)
        return (served, reloader)
    }

    private func description(_ outcome: Reloader.Outcome) -> String {
        switch outcome {
        case .done(let change): "made \(change.made.count), kept \(change.kept)"
        case .faults(let faults): "\(faults.faults.count) faults"
        case .needsRestart(let settings): "restart for \(settings.joined(separator: ", "))"
        case .cannotStart(let failure): "\(failure)"
        }
    }

    @Test("what is the same is kept, whatever was moved or commented")
    func same() async throws {
        defer { sweep() }
        let file = File(file(", number: 1"))
        let (served, reloader) = try await begin(file)
        let before = served.current.instances
        file.write("# a comment\n" + self.file(", number: 1").replacing(" }", with: "  }"))
        #expect(description(await reloader.reload()) == "made 0, kept \(before.count)")
        #expect(served.current.instances.elementsEqual(before, by: ===))
        #expect(noted == ["1 made", "1 starts"])
        await served.stop()
        #expect(noted == ["1 made", "1 starts", "1 stops"])
    }

    @Test("what is other is made anew, and the old one stops when nobody has it any more")
    func changed() async throws {
        defer { sweep() }
        let file = File(file(", number: 1"))
        let (served, reloader) = try await begin(file)
        // As a call does.
        var tenant: Tenant? = served.current.tenants.first
        file.write(self.file(", number: 2"))
        _ = await reloader.reload()
        #expect(noted == ["1 made", "1 starts", "2 made", "2 starts"])
        #expect(tenant?.auth.count == 1)
        tenant = nil
        #expect(await eventually { noted.last == "1 stops" })
        await served.stop()
        #expect(noted.suffix(2) == ["1 stops", "2 stops"])
    }

    @Test("live calls count on, whatever becomes of the limit that they began under")
    func limits() async throws {
        defer { sweep() }
        func yaml(_ limit: Int) -> String {
            let quota = "quotas: { seats: { type: concurrency, limit: \(limit) } }"
            return self.file("").replacing("pipelines:", with: "\(quota)\npipelines:")
                .replacing("pipeline: echo", with: "pipeline: echo, quotas: [seats]")
        }
        let file = File(yaml(2))
        let (served, reloader) = try await begin(file)
        func admit(_ call: String) async throws -> (lease: Lease?, quota: any QuotaPlugin) {
            let quota = try #require(served.current.tenants.first?.quotas.first?.plugin)
            let request = CallRequest(
                callID: call, tenant: "all", principal: Principal(id: "7"), workflowID: 1, workflowRunID: 1)
            guard case .admit(let lease) = try await quota.admit(request) else { return (nil, quota) }
            return (lease, quota)
        }
        let first = try await admit("one")
        #expect(try await admit("two").lease != nil)
        file.write(yaml(3))
        #expect(description(await reloader.reload()).hasPrefix("made 1,"))
        #expect(try await admit("three").lease != nil)
        #expect(try await admit("four").lease == nil)
        file.write(yaml(1))
        _ = await reloader.reload()
        await first.quota.release(try #require(first.lease), usage: CallUsage(duration: .zero))
        #expect(try await admit("four").lease == nil)
        await served.stop()
    }

    @Test("what a check would warn of is in the log of whoever serves it without one")
    func warned() async throws {
        defer { sweep() }
        let log = RecordedLog()
        let file = File(file(", number: 1"))
        let (served, reloader) = try await begin(file, log: log)
        file.write(
            self.file(", number: 1").replacing("{ type: echo } }", with: "{ type: echo }, mute: { type: echo } }"))
        _ = await reloader.reload()
        let line = log.lines.byMessage.withLock { $0["nothing names it, so it does nothing"] }
        #expect(line?["setting"] == "pipelines.mute")
        #expect(line?["at"].map { "\($0)".hasPrefix("config.yaml:5:") } == true)
        await served.stop()
    }

    @Test("the log names what became of instances and tenants, the first ten of each")
    func log() async throws {
        defer { sweep() }
        let log = RecordedLog()
        func line() -> Logger.Metadata? { log.lines.byMessage.withLock { $0["configuration reloaded"] } }
        let file = File(file(", number: 1"))
        let (served, reloader) = try await begin(file, log: log)
        let more = (10...21).map {
            "t\($0): { match: { path: /t\($0) }, allow_anonymous: true, pipeline: echo, store: shelf }"
        }
        file.write(
            self.file(", number: 2").replacing(
                "{ all: { match: any,",
                with: "{ \(more.joined(separator: ", ")), all: { match: any, limits: { call: 5m },"))
        _ = await reloader.reload()
        let ten = (10...19).map { "t\($0)" }.joined(separator: ", ")
        #expect(line()?["made"] == "auth.door")
        #expect(line()?["tenants_added"] == "\(ten) and 2 more")
        #expect(line()?["tenants_changed"] == "all" && line()?["tenants_removed"] == nil)
        file.write(self.file(", number: 2").replacing("match: any,", with: "match: any, limits: { call: 5m },"))
        _ = await reloader.reload()
        #expect(line()?["tenants_removed"] == "\(ten) and 2 more")
        #expect(line()?["made"] == nil && line()?["tenants_changed"] == nil)
        await served.stop()
    }

    @Test("the end stops also what only an old call still has")
    func end() async throws {
        defer { sweep() }
        let file = File(file(", number: 1"))
        let (served, reloader) = try await begin(file)
        let tenant = served.current.tenants.first
        file.write(self.file(", number: 2"))
        _ = await reloader.reload()
        await served.stop()
        #expect(noted.suffix(2) == ["1 stops", "2 stops"])
        withExtendedLifetime(tenant) {}
    }

    @Test("a secret that is other, and a store that is, make an instance anew")
    func dependencies() async throws {
        let settings = ", secret: { env: SECRET }, store: shelf"
        defer { sweep() }
        let file = File(file(settings))
        let (served, reloader) = try await begin(file)
        let count = served.current.instances.count
        file.secret.withLock { $0 = Leaks.secret("what is in $SECRET", "sesame-after-the-reload") }
        #expect(description(await reloader.reload()) == "made 1, kept \(count - 1)")
        file.write(self.file(settings, rest: "-other"))
        #expect(description(await reloader.reload()) == "made 2, kept \(count - 2)")
        #expect(description(await reloader.reload()) == "made 0, kept \(count)")
        await served.stop()
    }

    /// Removes what the store wrote.
    private func sweep() {
        for name in ["", "-other"] {
            for end in ["", "-wal", "-shm"] { _ = unsafe remove("/tmp/patchbay-\(book)\(name).db\(end)") }
        }
    }

    @Test("any fault, and an instance that cannot start, keep the old one as it is")
    func faults() async throws {
        defer { sweep() }
        let file = File(file(", number: 1"))
        let (served, reloader) = try await begin(file)
        let before = served.current.instances
        file.write(self.file(", nmber: 2") + "\nmore: 1")
        #expect(description(await reloader.reload()) == "2 faults")
        file.write(self.file(", number: 3, fails: true"))
        #expect(description(await reloader.reload()) == "auth.door could not start: no door")
        #expect(served.current.instances.elementsEqual(before, by: ===))
        #expect(noted == ["1 made", "1 starts", "3 made", "3 starts", "3 stops"])
        await served.stop()
    }

    @Test(
        "a variable that is not set is told with why a reload does not see it, and what to do; a check by hand has no need"
    )
    func variables() async throws {
        defer { sweep() }
        let file = File(file(", number: 1"))
        let (served, reloader) = try await begin(file)
        file.write(
            self.file(", number: \"${NEW_NUMBER}\", secret: { env: NEW_SECRET }").replacing(
                "{ echo: {", with: "{ ecko: {"))
        let outcome = await reloader.reload()
        guard case .faults(let faults) = outcome else {
            Issue.record("\(description(outcome))")
            return
        }
        let note = "a running gateway does not see variables that were set after its start: restart it"
        #expect(
            faults.faults.map(\.help) == [
                "set it, or give it a default: ${NEW_NUMBER:-value}; \(note)", "\(note), or use { file: PATH }",
                "did you mean 'ecko'? pipelines has: ecko",
            ])
        #expect(faults.json.description.contains("\(note), or use"))
        await served.stop()
        let plugins: [PluginRegistration] = .builtin + [.auth(NotedPlugin.self)]
        let byHand = #expect(throws: Faults.self) {
            try GatewayConfiguration.load(
                text: file.text.withLock(\.self), environment: [:], catalogue: plugins.catalogue)
        }
        #expect(byHand?.faults.count == 3 && byHand?.description.contains("a running gateway") == false)
    }

    @Test("an instance that never gets done with starting is given up, and the next reload has its turn")
    func hangs() async throws {
        defer { sweep() }
        let file = File(file(", number: 1"))
        let (served, reloader) = try await begin(file)
        file.write(self.file(", number: 2, hangs: true"))
        #expect(description(await reloader.reload()) == "auth.door could not start: it was not done within 200ms")
        file.write(self.file(", number: 3"))
        _ = await reloader.reload()
        let expected = ["1 made", "1 starts", "2 made", "2 starts", "2 stops", "3 made", "3 starts", "1 stops"]
        #expect(await eventually { noted == expected }, "\(noted)")
        await served.stop()
    }

    @Test("a file that a store reads is news when it changes, and one that it writes is not")
    func storesFiles() throws {
        let (roots, database) = ("/tmp/patchbay-\(book).pem", "/tmp/patchbay-\(book).db")
        defer { for path in [roots, database] { _ = unsafe remove(path) } }
        let certificate = try Data(contentsOf: URL(filePath: Self.vectors + "/jwt/certificate.pem"))
        let plugins: [PluginRegistration] = .builtin
        let yaml = """
            version: 1
            stores:
              shared: { type: redis, url: "rediss://192.0.2.1", trust_roots: \(roots) }
              local: { type: sqlite, path: \(database) }
            pipelines: { echo: { type: echo } }
            tenants: { all: { match: any, allow_anonymous: true, pipeline: echo, store: local } }
            """
        func deployment(after former: Deployment?) throws -> Deployment {
            try Deployment(
                GatewayConfiguration.load(text: yaml, environment: [:], catalogue: plugins.catalogue),
                plugins: plugins, logger: .watched, wallClock: { .zero }, after: former)
        }
        func kept(_ old: Deployment, _ new: Deployment) -> [String] {
            old.instances.filter { old in new.instances.contains { $0 === old } && old.kind == .store }.map(\.name)
        }
        try certificate.write(to: URL(filePath: roots))
        try Data("a".utf8).write(to: URL(filePath: database))
        let first = try deployment(after: nil)
        #expect(kept(first, try deployment(after: first)) == ["local", "shared"])
        try (certificate + certificate).write(to: URL(filePath: roots))
        try Data("ab".utf8).write(to: URL(filePath: database))
        #expect(kept(first, try deployment(after: first)) == ["local"])
    }

    private static let vectors = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/Vectors"

    @Test("what takes a restart is named, and nothing else is changed either")
    func fixed() async throws {
        defer { sweep() }
        let file = File(file(", number: 1"))
        let (served, reloader) = try await begin(file)
        file.write(self.file(", number: 2", listen: 8081) + "\nmedia: { addresses: [127.0.0.2] }")
        #expect(description(await reloader.reload()) == "restart for media.addresses, server.listen")
        #expect(noted == ["1 made", "1 starts"])
        await served.stop()
    }

    @Test("a hundred at once are done one after the other")
    func many() async throws {
        defer { sweep() }
        let file = File(file(", number: 1"))
        let (served, reloader) = try await begin(file)
        await withTaskGroup(of: Void.self) { group in
            for number in 2...100 {
                file.write(self.file(", number: \(number)"))
                group.addTask { _ = await reloader.reload() }
            }
        }
        await served.stop()
        #expect(await eventually { noted.count { $0.hasSuffix("stops") } == noted.count { $0.hasSuffix("made") } })
        #expect(noted.last { $0.hasSuffix("starts") } == "100 starts")
    }
}
