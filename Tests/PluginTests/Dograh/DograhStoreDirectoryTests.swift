import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import DograhQuota

@Suite("Dograh: a directory in a store")
struct DograhStoreDirectoryTests {
    private let store = MemoryStore()
    private var directory: StoreDirectory { StoreDirectory(store: store) }
    private let workflow = Workflow(id: 33, organization: "9")

    private func write(_ key: String, _ text: String) async throws {
        try await store.set(key, Array(text.utf8), timeToLive: nil)
    }

    @Test("knows members, whether their ids are text or numbers")
    func members() async throws {
        #expect(try await !directory.isMember("7", of: "9"))
        try await write("dograh:organization:9", #"{"members":["7",8]}"#)
        #expect(try await directory.isMember("7", of: "9"))
        #expect(try await directory.isMember("8", of: "9"))
        #expect(try await !directory.isMember("9", of: "9"))
        #expect(try await !directory.isMember("7", of: "8"))
    }

    @Test("knows a workflow within its organisation, its owner and its models")
    func workflows() async throws {
        try await write(
            "dograh:workflow:9:33",
            """
            {"owner": 7, "configuration": {"managed_service_version": 2,
             "llm": {"provider": "openai", "service_keys": ["sk-1"]}, "stt": {"provider": "dograh"}, "tts": null,
             "embeddings": {"provider": "dograh", "service_keys": ["mps_sk_2", "mps_sk_1", "mps_sk_2"]}}}
            """)
        try await write("dograh:workflow:9:34", "{}")
        #expect(try await directory.workflow(33, of: "8") == nil)
        #expect(try await directory.workflow(35, of: "9") == nil)
        let found = try #require(try await directory.workflow(33, of: "9"))
        #expect(try await directory.owner(of: found) == "7")
        let configuration = try await directory.configuration(of: found, run: nil)
        #expect(configuration.isManagedV2)
        #expect(configuration.serviceKeys.map { $0.withValue { $0 } } == ["mps_sk_2", "mps_sk_1"])
        let bare = try #require(try await directory.workflow(34, of: "9"))
        #expect(try await directory.owner(of: bare) == nil)
        #expect(try await !directory.configuration(of: bare, run: nil).isManagedV2)
    }

    @Test("knows a run within its organisation, and the models it is pinned to")
    func runs() async throws {
        #expect(try await directory.run(88, for: workflow) == nil)
        try await write("dograh:run:9:88", #"{"workflow_id":33,"initial_context":{"name":"Ada"}}"#)
        try await write(
            "dograh:run:9:89",
            #"{"workflow_id":34,"configuration":{"tts":{"provider":"dograh","service_keys":["mps_sk_3"]}}}"#)
        let run = try #require(try await directory.run(88, for: workflow))
        #expect(run.workflowID == 33 && run.configuration == nil)
        let pinned = try #require(try await directory.run(89, for: workflow))
        #expect(pinned.workflowID == 34)
        let configuration = try await directory.configuration(of: workflow, run: pinned)
        #expect(configuration.serviceKeys.map { $0.withValue { $0 } } == ["mps_sk_3"])
        #expect(try await directory.run(88, for: Workflow(id: 33, organization: "8")) == nil)
    }

    @Test("what is there but not as it should be is an error, and not nothing")
    func nonsense() async throws {
        for text in ["", "nonsense", "[]", "7"] {
            for kind in ["organization:9", "workflow:9:33", "run:9:88"] { try await write("dograh:\(kind)", text) }
            await #expect(throws: DirectoryError.self) { try await directory.isMember("7", of: "9") }
            await #expect(throws: DirectoryError.self) { try await directory.workflow(33, of: "9") }
            await #expect(throws: DirectoryError.self) { try await directory.run(88, for: workflow) }
        }
        try await write("dograh:organization:9", "{}")
        try await write("dograh:run:9:88", "{}")
        try await write("dograh:workflow:9:33", #"{"configuration":{"llm":{}}}"#)
        await #expect(throws: DirectoryError.self) { try await directory.isMember("7", of: "9") }
        await #expect(throws: DirectoryError.self) { try await directory.workflow(33, of: "9") }
        let error = await #expect(throws: DirectoryError.self) { try await directory.run(88, for: workflow) }
        #expect(error?.description.contains("dograh:run:9:88") == true)
    }

    @Test("a correlation id is saved beside the run, of which nothing else is touched; not where the run is gone")
    func saving() async throws {
        let run = Run(id: 88, workflowID: 33, organization: "9")
        #expect(try await !directory.save(correlationID: "c-1", of: run))
        #expect(await store.keys.isEmpty)
        let written = #"{"workflow_id":33,"initial_context":{"name":"Ada"}}"#
        try await write("dograh:run:9:88", written)
        #expect(try await directory.save(correlationID: "c-\"1\"", of: run))
        #expect(try await store.get("dograh:run:9:88") == Array(written.utf8))
        let saved = try #require(try await store.get("dograh:correlation:9:88"))
        #expect(try JSONValue(parsing: saved) == "c-\"1\"")
    }

    @Test("a store that is away makes each look-up fail")
    func away() async throws {
        await store.fail(with: Unreachable())
        await #expect(throws: Unreachable.self) { try await directory.isMember("7", of: "9") }
        await #expect(throws: Unreachable.self) { try await directory.workflow(33, of: "9") }
        await #expect(throws: Unreachable.self) { try await directory.run(88, for: workflow) }
        await #expect(throws: Unreachable.self) {
            try await directory.save(correlationID: "c-1", of: Run(id: 88, workflowID: 33, organization: "9"))
        }
    }
}
