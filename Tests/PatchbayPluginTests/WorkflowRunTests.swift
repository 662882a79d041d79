import PatchbayPlugin
import PatchbayTesting
import Testing

@Suite("Workflow runs")
struct WorkflowRunTests {
    private let clock = TestClock()
    private let store: MemoryStore
    private let runs: WorkflowRuns
    private let owner = RunOwner.organization("acme")

    init() {
        store = MemoryStore(clock: clock)
        runs = WorkflowRuns(store: store, tenant: "default")
    }

    /// Owners that must not be taken for each other, whatever is in their names.
    private static let owners: [RunOwner] = [
        .organization("7"), .user("7"), .embedToken("7"), .organization("user:7"), .user("user:7"), .user(""),
        .user("7:1"), .user("7:1:1"), .embedToken("embed:7"), .organization(""), .organization("organization:"),
        .user("a:run:default:user:b"), .embedToken("é"), .user("7\u{0}"), .user("7 "),
    ]

    @Test(
        "are found as they were added",
        arguments: [
            WorkflowRun(id: 1, owner: .organization("acme"), workflowID: 33),
            WorkflowRun(id: -1, owner: .user("7"), workflowID: Int.min, mode: .text),
            WorkflowRun(
                id: Int.max, owner: .embedToken("emb"), workflowID: 0, hasEnded: true, timeToLive: .seconds(60)),
        ])
    func addAndFind(run: WorkflowRun) async throws {
        #expect(try await runs.find(run.id, owner: run.owner) == nil)
        #expect(try await runs.add(run))
        #expect(try await runs.find(run.id, owner: run.owner) == run)
    }

    @Test("are added once, and the first stays")
    func addTwice() async throws {
        let first = WorkflowRun(id: 1, owner: owner, workflowID: 33)
        #expect(try await runs.add(first))
        #expect(try await !runs.add(WorkflowRun(id: 1, owner: owner, workflowID: 44, hasEnded: true)))
        #expect(try await runs.find(1, owner: owner) == first)
    }

    @Test("of one owner are no other's, nor another tenant's")
    func owners() async throws {
        let ids = [1, 11, 7, -1]
        for (number, owner) in Self.owners.enumerated() {
            for id in ids {
                #expect(try await runs.find(id, owner: owner) == nil, "\(owner)")
                #expect(try await runs.add(WorkflowRun(id: id, owner: owner, workflowID: number)), "\(owner)")
                #expect(try await runs.claim(id, owner: owner, callID: "\(number)"), "\(owner)")
            }
        }
        for (number, owner) in Self.owners.enumerated() {
            for id in ids {
                #expect(try await runs.find(id, owner: owner)?.workflowID == number)
                #expect(try await !runs.claim(id, owner: owner, callID: "another"))
            }
        }
        #expect(Set(Self.owners.map(\.description)).count == Self.owners.count)
        let others = WorkflowRuns(store: store, tenant: "other")
        #expect(try await others.find(1, owner: .user("7")) == nil)
        #expect(try await others.claim(1, owner: .user("7"), callID: "another"))
    }

    @Test("are no plugin's values that happen to be under their key")
    func foreignValue() async throws {
        #expect(try await runs.add(WorkflowRun(id: 1, owner: owner, workflowID: 33)))
        let key = try #require(await store.keys.first)
        for text in ["", "x", "{}", "[]", #"{"workflow_id":1,"mode":"other","has_ended":false}"#] {
            try await store.set(key, Array(text.utf8), timeToLive: nil)
            #expect(try await runs.find(1, owner: owner) == nil)
        }
    }

    @Test("have one call at a time, which may claim again and gives back only its own claim")
    func claims() async throws {
        #expect(try await runs.claim(1, owner: owner, callID: "a"))
        #expect(try await !runs.claim(1, owner: owner, callID: "b"))
        #expect(try await runs.claim(1, owner: owner, callID: "a"))
        try await runs.release(1, owner: owner, callID: "b")
        #expect(try await !runs.claim(1, owner: owner, callID: "b"))
        try await runs.release(1, owner: owner, callID: "a")
        try await runs.release(1, owner: owner, callID: "a")
        #expect(try await runs.claim(1, owner: owner, callID: "b"))
    }

    @Test("are free again when a claim is not renewed, and not when it is")
    func claimExpires() async throws {
        #expect(try await runs.claim(1, owner: owner, callID: "a"))
        for _ in 0..<5 {
            clock.advance(by: WorkflowRuns.claimLifetime - .milliseconds(1))
            #expect(try await !runs.claim(1, owner: owner, callID: "b"))
            #expect(try await runs.claim(1, owner: owner, callID: "a"))
        }
        clock.advance(by: WorkflowRuns.claimLifetime)
        #expect(try await runs.claim(1, owner: owner, callID: "b"))
        #expect(try await !runs.claim(1, owner: owner, callID: "a"))
    }

    @Test("end once and for all, and keep what else is known of them")
    func end() async throws {
        let run = WorkflowRun(id: 1, owner: owner, workflowID: 33, mode: .text)
        #expect(try await runs.add(run))
        try await runs.end(run)
        let ended = try #require(await runs.find(1, owner: owner))
        #expect(ended.hasEnded)
        #expect((ended.workflowID, ended.mode) == (33, .text))
        #expect(try await !runs.add(run))
        clock.advance(by: .seconds(1_000_000_000))
        #expect(try await runs.find(1, owner: owner)?.hasEnded == true)
        #expect(try await runs.find(2, owner: owner) == nil)
    }

    @Test("that are kept for a time are gone after it, and kept that long again when they have ended")
    func kept() async throws {
        let run = WorkflowRun(id: 1, owner: owner, workflowID: 33, timeToLive: .seconds(60))
        #expect(try await runs.add(run))
        clock.advance(by: .seconds(59))
        #expect(try await runs.find(1, owner: owner) == run)
        try await runs.end(run)
        clock.advance(by: .seconds(59))
        #expect(try await runs.find(1, owner: owner)?.hasEnded == true)
        clock.advance(by: .seconds(1))
        #expect(try await runs.find(1, owner: owner) == nil)
    }

    @Test("get an id that their owner has not used")
    func next() async throws {
        for id in [1, 2, 4] { #expect(try await runs.add(WorkflowRun(id: id, owner: owner, workflowID: 9))) }
        var ids: [Int] = []
        for _ in 0..<3 {
            let run = try await runs.addNext(owner: owner, workflowID: 33, timeToLive: .seconds(60))
            #expect(run == WorkflowRun(id: run.id, owner: owner, workflowID: 33, timeToLive: .seconds(60)))
            #expect(try await runs.find(run.id, owner: owner) == run)
            ids.append(run.id)
        }
        #expect(ids == [3, 5, 6])
        #expect(try await runs.find(1, owner: owner)?.workflowID == 9)
        let other = try await runs.addNext(owner: .user("7"), workflowID: 33)
        #expect(!ids.contains(other.id))
    }

    @Test("that many make at once have an id each")
    func nextAtOnce() async throws {
        let ids = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<200 {
                group.addTask { [runs, owner] in try await runs.addNext(owner: owner, workflowID: 1).id }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(ids.count == 200)
    }

    @Test("cannot be told when the store is away")
    func away() async throws {
        struct Away: Error {}
        await store.fail(with: Away())
        await #expect(throws: Away.self) { try await runs.find(1, owner: owner) }
        await #expect(throws: Away.self) { try await runs.claim(1, owner: owner, callID: "a") }
        await #expect(throws: Away.self) { try await runs.addNext(owner: owner, workflowID: 1) }
    }
}
