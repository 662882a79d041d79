import PatchbayPlugin
import PatchbayTesting
import Testing

@testable import MyPlugin

@Suite("MyPlugin")
struct MyPluginTests {
    let clock = TestClock()
    let store: MyPlugin

    init() throws {
        store = try MyPlugin.configured("{ capacity: 2, longest: 1h }", clock: clock)
    }

    @Test("forgets values and members when their time is over")
    func forgets() async throws {
        try await store.set("short", [1], timeToLive: .seconds(60))
        try await store.set("long", [2], timeToLive: nil)
        #expect(await store.lease("set", member: "a", limit: 1, timeToLive: .seconds(60)))
        #expect(await !store.lease("set", member: "b", limit: 1, timeToLive: .seconds(60)))
        clock.advance(by: .seconds(60))
        #expect(await store.get("short") == nil)
        #expect(await store.get("long") == [2])
        #expect(await store.count("set") == 0)
        #expect(await store.lease("set", member: "b", limit: 1, timeToLive: .seconds(60)))
        clock.advance(by: .seconds(3540))
        #expect(await store.take("long") == nil)
    }

    @Test("takes no more than it has room for")
    func isBounded() async throws {
        try await store.set("a", [1], timeToLive: .seconds(60))
        try await store.set("b", [1], timeToLive: nil)
        await #expect(throws: StoreIsFull.self) { try await store.set("c", [1], timeToLive: nil) }
        clock.advance(by: .seconds(60))
        try await store.set("c", [1], timeToLive: nil)
    }

    @Test("does what every plugin must")
    func conforms() async throws {
        try await PluginConformance.check(MyPlugin.self)
    }
}
