import WebRTC
import Wire

/// Looks at a connection's statistics every 100 ms: what may only grow, and what must agree.
struct StatisticsWatch {
    private static let interval = Duration.milliseconds(100)
    /// How far what a pipeline hears may be ahead of real time or behind it.
    static let slack = Duration.milliseconds(1200)

    private var last = CallStatistics()
    private var due = MonotonicTime.zero

    mutating func faults(of peer: PeerConnection, timedSince start: MonotonicTime?, now: MonotonicTime) -> [String] {
        guard now >= due else { return [] }
        due = now + Self.interval
        let statistics = peer.currentStatistics()
        defer { last = statistics }
        var faults: [String] = []
        for (name, count) in Self.counts where statistics[keyPath: count] < last[keyPath: count] {
            faults.append("\(name) falls from \(last[keyPath: count]) to \(statistics[keyPath: count])")
        }
        let (all, recovered, concealed) = (
            statistics.framesReceived, statistics.framesRecovered, statistics.framesConcealed
        )
        if all > 0, recovered > all || concealed > all {
            faults.append("of \(all) frames, \(recovered) are recovered and \(concealed) concealed")
        }
        if statistics.packetsLost < 0 || statistics.remotePacketsLost < 0 || statistics.reorderHold > .milliseconds(200)
        {
            faults.append(
                "lost \(statistics.packetsLost), the peer \(statistics.remotePacketsLost); holds \(statistics.reorderHold)"
            )
        }
        if statistics.playoutDepth > .seconds(30) {
            faults.append("the playout queue holds \(statistics.playoutDepth)")
        }
        // Nobody takes frames while a call of the simulation lasts, so all that it ever got are there.
        if let start, statistics.inputDepth > .zero, !peer.hasEnded,
            abs((statistics.inputDepth - (now - start)).milliseconds) > Self.slack.milliseconds
        {
            faults.append("\(statistics.inputDepth) of sound in \(now - start)")
        }
        return faults
    }

    private static var counts: [(name: String, path: KeyPath<CallStatistics, Int>)] {
        [
            ("packetsSent", \.packetsSent), ("packetsReceived", \.packetsReceived), ("packetsLate", \.packetsLate),
            ("packetsDuplicate", \.packetsDuplicate), ("framesReceived", \.framesReceived),
            ("framesRecovered", \.framesRecovered), ("framesConcealed", \.framesConcealed),
            ("inputFramesDropped", \.inputFramesDropped), ("playoutClears", \.playoutClears),
            ("playoutMarks", \.playoutMarks), ("dropped.unvalidated", \.dropped.unvalidated),
            ("dropped.early", \.dropped.early), ("dropped.unauthentic", \.dropped.unauthentic),
            ("dropped.malformed", \.dropped.malformed), ("dropped.tooMany", \.dropped.tooMany),
            ("dropped.unknownStream", \.dropped.unknownStream), ("dropped.stun", \.dropped.stun),
        ]
    }
}
