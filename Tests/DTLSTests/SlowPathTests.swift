import DTLS
import Dispatch
import Synchronization
import Testing
import Wire

@Suite("DTLS without loss: slow paths, slow machines, several threads")
struct SlowPathTests {
    /// Both sides are connected, once, with the same keys.
    private func expectConnected(_ association: Association, _ sourceLocation: SourceLocation = #_sourceLocation) {
        let (client, server) = (association.clientEvents, association.serverEvents)
        #expect(
            association.clientKeys != nil && association.clientKeys == association.serverKeys && client.count == 1
                && server.count == 1,
            "client \(client), server \(server)", sourceLocation: sourceLocation)
    }

    /// How often a flight is sent before its answer comes, `wait` after it first was.
    private func transmissions(in wait: Duration) -> Int {
        var (count, next, interval) = (1, Connection.initialInterval, Connection.initialInterval)
        while next <= wait {
            (count, interval) = (count + 1, min(interval * 2, Connection.maximumInterval))
            next += interval
        }
        return count
    }

    @Test("A delay each way costs two round trips and no more", arguments: [10, 24, 25, 26, 40, 100, 150, 250, 500])
    func delay(milliseconds: Int) throws {
        let delay = Duration.milliseconds(milliseconds)
        let most = transmissions(in: delay * 2)
        for seed in 1...10 as ClosedRange<UInt64> {
            var association = try Association(.init(delay: delay), seed: seed)
            association.run()
            expectConnected(association)
            #expect(association.connectTimes == [delay * 3, delay * 4])
            // Two flights each; the server's last comes once for each time it hears the client's.
            #expect(association.sent.count <= 4 * most)
        }
    }

    @Test(
        "Reordered and repeated datagrams cost no more than the slowest of them",
        arguments: [1, 10, 100, 500], [0, 20, 120, 600])
    func jitter(delay: Int, jitter: Int) throws {
        for seed in 1...40 as ClosedRange<UInt64> {
            var association = try Association(
                .init(duplication: 0.5, delay: .milliseconds(delay), jitter: .milliseconds(jitter)), seed: seed)
            association.run()
            expectConnected(association)
            #expect(association.connectTimes.allSatisfy { $0 <= .milliseconds(4 * (delay + jitter)) })
        }
    }

    @Test("Sides that look at the network only now and then connect", arguments: [20, 60, 200, 700], [0, 0.5])
    func stall(milliseconds: Int, duplication: Double) throws {
        for seed in 1...25 as ClosedRange<UInt64> {
            var association = try Association(
                .init(duplication: duplication, jitter: .milliseconds(50), stall: .milliseconds(milliseconds)),
                seed: seed)
            association.run()
            expectConnected(association)
            // Each of the four flights is looked at no later than one stall after it came.
            #expect(association.connectTimes.allSatisfy { $0 <= .milliseconds(4 * (60 + milliseconds)) })
        }
    }

    @Test("Handshakes on four threads that share a client's and a server's certificate do not disturb each other")
    func threads() throws {
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            for handshake in 0..<50 {
                do {
                    var association = try Association(
                        .init(duplication: 0.3, delay: .milliseconds(30), jitter: .milliseconds(60)),
                        seed: UInt64(thread * 1000 + handshake))
                    association.run()
                    if association.clientKeys == nil || association.clientKeys != association.serverKeys {
                        failures.withLock { $0.append("\(association.clientEvents) \(association.serverEvents)") }
                    }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
        }
        #expect(failures.withLock { $0 } == [])
    }
}
