import PatchbayConfig
import PatchbayPlugin
import Testing

@Suite("What clients are told")
struct EventsChoiceTests {
    private func exposures(_ events: String) throws -> [EventExposure] {
        let configuration = try load(
            """
            version: 1
            auth: { users: { type: jwt, algorithms: [HS256], secret: { env: KEY } }, others: { type: jwt, algorithms: [HS256], secret: { env: KEY } } }
            pipelines: { e: { type: echo } }
            tenants:
              t: { match: any, auth: [users, others], allow_anonymous: true, pipeline: e\(events) }
            """, environment: ["KEY": "k"])
        let choice = try #require(configuration.tenants.first).events
        return [
            choice.exposure(instance: "users", isVisitor: false), choice.exposure(instance: "others", isVisitor: true),
            choice.exposure(instance: nil, isVisitor: true),
        ]
    }

    @Test(
        "is everything, but for visitors, unless the tenant says otherwise",
        arguments: [
            ("", [.all, .transcript, .transcript]), (", events: all", [.all, .transcript, .transcript]),
            (", events: transcript", [.transcript, .transcript, .transcript]),
            (", events: none", [.none, .none, .none]),
            (", events: { others: all }", [.all, .all, .transcript]),
            (", events: { users: none, anonymous: all }", [.none, .transcript, .all]),
        ] as [(String, [EventExposure])])
    func exposure(events: String, expected: [EventExposure]) throws {
        #expect(try exposures(events) == expected)
    }

    @Test(
        "is said in words that there are, of instances that the tenant has",
        arguments: [
            (", events: some", "expected one of none, transcript, all"),
            (", events: { users: some }", "expected one of none, transcript, all"),
            (", events: { user: all }", "the tenant has no auth instance named 'user'"),
        ])
    func faults(events: String, fault: String) {
        let faults = #expect(throws: Faults.self) { try exposures(events) }
        #expect(faults?.description.contains(fault) == true, "\(faults?.description ?? "")")
    }
}
