import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import DograhQuota

/// dograh-wire's table of self-hosted deployments: llm, tts, stt, embeddings.
@Suite("Dograh: the order of service keys")
struct DograhKeyOrderTests {
    enum Place: CaseIterable {
        case settings, store
    }

    /// As they are written.
    private static let services = ["embeddings", "stt", "tts", "llm"]

    private func quota(_ place: Place, version: Int, url: String) async throws -> DograhQuota {
        let store = MemoryStore()
        var directory = "store: local"
        switch place {
        case .settings:
            let models = Self.services.map { name in
                "\(name): { provider: dograh, service_keys: [{ env: \(name.uppercased()) }] }"
            }.joined(separator: ", ")
            let workflow = #"{ owner: "123", managed_service_version: \#(version), \#(models) }"#
            directory = #"directory: { organizations: { "9": { members: ["7"], workflows: { "7": \#(workflow) } } } }"#
        case .store:
            let models = Self.services.map { name in
                #""\#(name)":{"provider":"dograh","service_keys":["mps_sk_of_\#(name)_alone"]}"#
            }.joined(separator: ",")
            let workflow = #"{"owner":"123","configuration":{"managed_service_version":\#(version),\#(models)}}"#
            let entries = [
                ("organization:9", #"{"members":["7"]}"#), ("workflow:9:7", workflow),
                ("run:9:88", #"{"workflow_id":7}"#),
            ]
            for (key, value) in entries {
                try await store.set("dograh:\(key)", Array(value.utf8), timeToLive: nil)
            }
        }
        return try DograhQuota.watched(
            "{ mode: oss, url: '\(url)', \(directory) }",
            environment: Dictionary(
                uniqueKeysWithValues: Self.services.map { ($0.uppercased(), "mps_sk_of_\($0)_alone") }),
            stores: ["local": store])
    }

    @Test(
        "is that of the services, wherever and in whichever order these are written", arguments: Place.allCases,
        [
            (1, ["llm", "tts", "stt", "embeddings"]),
            // The first is for the run, once the others are looked at.
            (2, ["tts", "stt", "embeddings", "llm"]),
        ])
    func order(place: Place, row: (version: Int, asked: [String])) async throws {
        let server = try await BillingServer(
            .answers(200, #"{"allowed":true,"remaining_credits":5,"correlation_id":"c-1"}"#))
        let quota = try await quota(place, version: row.version, url: server.url)
        try await quota.start()
        let outcome = try await quota.admit(
            CallRequest(
                callID: "one", tenant: "default", principal: Principal(id: "7", organization: "9"), workflowID: 7,
                workflowRunID: 88))
        await quota.stop()
        #expect(outcome.lease != nil)
        let asked = server.received.map { request in
            Self.services.filter { request.contains("Bearer mps_sk_of_\($0)_alone\r\n") }.joined()
        }
        #expect(asked == row.asked)
        try await server.stop()
    }
}
