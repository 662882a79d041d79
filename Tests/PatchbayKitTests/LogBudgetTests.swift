import Logging
import PatchbayPlugin
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayKit

@Suite("What strangers can have written down")
struct LogBudgetTests {
    @Test("is ten lines a second for each network, and how many there were no lines for")
    func lines() {
        let budget = LogBudget()
        let first = (0..<15).map { _ in budget.admit("192.0.2.1", now: .seconds(7)) }
        #expect(first == Array(repeating: 0, count: 10) + Array(repeating: nil, count: 5))
        #expect(budget.admit("192.0.2.2", now: .seconds(7.9)) == 0)
        #expect(budget.admit("192.0.2.2", now: .seconds(8)) == 5)
        #expect(budget.admit("192.0.2.1", now: .seconds(8)) == 0)
    }

    @Test("holds for handshakes that are refused, and those without a line are counted all the same")
    func handshakes() async throws {
        let log = RecordedLog()
        let router = try TestRouter(log: log)
        let request = TestRouter.request("/api/v1/ws/signaling/7/12")
        for _ in 0..<15 { #expect(await router.status(request).0 == 403) }
        let leftOut = "refusals without a line of their own"
        #expect(log.lines.byMessage.withLock { $0["socket refused"] != nil && $0[leftOut] == nil })
        router.clock.advance(by: .seconds(1))
        #expect(await router.status(request).0 == 403)
        #expect(log.lines.byMessage.withLock { $0[leftOut]?["count"] } == "5")
        #expect(router.registry.json(media: .null)["refused"]?["no_credential"] == 16)
    }
}
