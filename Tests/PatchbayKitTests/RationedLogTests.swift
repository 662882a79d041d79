import Logging
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayKit

@Suite("Warnings and errors of the log")
struct RationedLogTests {
    private let recorded = RecordedLog()
    private let clock = TestClock()

    private func logger(_ budget: LogBudget = LogBudget()) -> Logger {
        Logger(label: "test") { _ in RationedLogHandler(recorded, budget: budget) { [clock] in clock.now } }
    }

    private func count(_ message: String) -> Int {
        recorded.lines.counts.withLock { $0[message] ?? 0 }
    }

    @Test(
        "are written ten times a second, however often strangers cause them, and how many were left out",
        arguments: [Logger.Level.warning, .error])
    func rationed(level: Logger.Level) {
        let logger = logger()
        for _ in 0..<1_000 { logger.log(level: level, "the store is away", metadata: ["tenant": "acme", "user": "7"]) }
        #expect(count("the store is away") == 10)
        clock.advance(by: .seconds(1))
        logger.log(level: level, "the store is away", metadata: ["tenant": "acme", "user": "7"])
        #expect(count("the store is away") == 11)
        let leftOut = recorded.lines.byMessage.withLock { $0["warnings and errors without a line of their own"] }
        #expect(leftOut == ["count": "990"])
    }

    @Test("of one tenant, one plugin instance or one call leave those of others their lines")
    func apart() {
        let budget = LogBudget()
        let logger = logger(budget)
        var (plugin, call) = (self.logger(budget), self.logger(budget))
        plugin[metadataKey: "plugin"] = "auth.users"
        call[metadataKey: "call"] = "1"
        for _ in 0..<100 {
            logger.error("failed", metadata: ["tenant": "acme"])
            logger.error("failed", metadata: ["tenant": "globex"])
            plugin.error("failed", metadata: ["tenant": "acme"])
            call.error("failed")
            logger.error("failed otherwise", metadata: ["tenant": "acme"])
        }
        #expect(count("failed") == 40)
        #expect(count("failed otherwise") == 10)
    }

    @Test("are all that is rationed: what an operator waits for is there")
    func others() {
        let logger = logger()
        for _ in 0..<100 {
            logger.info("call ended")
            logger.notice("reloaded")
            logger.critical("the end", metadata: ["tenant": "acme"])
            logger.warning("nothing names it", metadata: ["setting": "quotas.seats"])
        }
        #expect(["call ended", "reloaded", "the end", "nothing names it"].map(count) == [100, 100, 100, 100])
    }
}
