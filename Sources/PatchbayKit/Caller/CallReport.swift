import PatchbayPlugin
import WebRTC

/// What one call came to.
struct CallReport: Sendable {
    var connected = false
    var error: String?
    /// From the first request to media in both directions.
    var setup: Duration?
    var seconds = 0.0
    var end = "the call ended"
    var statistics = CallStatistics()
    /// From saying to hearing, where what was heard is what was said.
    var latency: Duration?
    var heard: [Int16] = []
    var sampleRate = 48_000

    mutating func fail(_ error: any Error) {
        self.error = "\(error)"
        end = "failed"
    }

    var json: JSONValue {
        [
            "connected": .bool(connected), "error": error.map(JSONValue.string) ?? .null,
            "setup_ms": milliseconds(setup), "packets_sent": .integer(statistics.packetsSent),
            "packets_received": .integer(statistics.packetsReceived),
            "packets_lost": .integer(statistics.packetsLost), "remote_lost": .integer(statistics.remotePacketsLost),
            "frames_concealed": .integer(statistics.framesConcealed),
            "gap_p50_ms": number(statistics.gaps.percentile(0.5)),
            "gap_p99_ms": number(statistics.gaps.percentile(0.99)),
            "gap_max_ms": milliseconds(statistics.gaps.longest), "jitter_ms": milliseconds(statistics.jitter),
            "round_trip_ms": milliseconds(statistics.roundTripTime), "latency_ms": milliseconds(latency),
            "seconds": number(seconds), "end": .string(end),
        ]
    }
}

/// What all calls of one run came to.
struct CallSummary: Sendable {
    let reports: [CallReport]

    var allConnected: Bool {
        reports.allSatisfy { $0.connected && $0.error == nil }
    }

    var json: JSONValue {
        ["calls": .array(reports.map(\.json)), "summary": summary]
    }

    private var summary: JSONValue {
        var gaps = ArrivalGaps()
        for report in reports { gaps += report.statistics.gaps }
        let setups = reports.compactMap(\.setup).sorted()
        let latencies = reports.compactMap(\.latency).sorted()
        func total(_ count: KeyPath<CallStatistics, Int>) -> JSONValue {
            .integer(reports.reduce(0) { $0 + $1.statistics[keyPath: count] })
        }
        return [
            "calls": .integer(reports.count), "connected": .integer(reports.count { $0.connected }),
            "packets_sent": total(\.packetsSent), "packets_received": total(\.packetsReceived),
            "packets_lost": total(\.packetsLost), "remote_lost": total(\.remotePacketsLost),
            "gap_p50_ms": number(gaps.percentile(0.5)), "gap_p99_ms": number(gaps.percentile(0.99)),
            "gap_max_ms": milliseconds(gaps.longest),
            "setup_p50_ms": milliseconds(percentile(setups, 0.5)),
            "setup_p99_ms": milliseconds(percentile(setups, 0.99)),
            "latency_p50_ms": milliseconds(percentile(latencies, 0.5)),
            "latency_p99_ms": milliseconds(percentile(latencies, 0.99)),
        ]
    }

    /// For people: a line a call, and one for all when there are several.
    var text: String {
        var lines = reports.map { line($0.json, failure: $0.error) }
        if reports.count > 1 {
            let summary = summary
            lines.append(
                "\(value(summary, "connected")) of \(reports.count) connected; \(fields(summary, Self.summaryFields))")
        }
        return lines.joined(separator: "\n")
    }

    private static let callFields = [
        ("setup_ms", "set up in", "ms"), ("packets_sent", "sent", "packets"),
        ("packets_received", "received", "packets"),
        ("packets_lost", "lost", ""), ("remote_lost", "lost on the way there", ""), ("gap_p99_ms", "gap p99", "ms"),
        ("gap_max_ms", "gap max", "ms"), ("jitter_ms", "jitter", "ms"), ("round_trip_ms", "round trip", "ms"),
        ("latency_ms", "latency", "ms"),
    ]
    private static let summaryFields = [
        ("setup_p50_ms", "set up p50", "ms"), ("setup_p99_ms", "p99", "ms"), ("packets_sent", "sent", "packets"),
        ("packets_received", "received", "packets"), ("packets_lost", "lost", ""), ("gap_p99_ms", "gap p99", "ms"),
        ("gap_max_ms", "gap max", "ms"), ("latency_p50_ms", "latency p50", "ms"),
    ]

    private func line(_ report: JSONValue, failure: String?) -> String {
        if let failure {
            return report["connected"] == true ? "connected, then failed: \(failure)" : "not connected: \(failure)"
        }
        return
            "connected, \(fields(report, Self.callFields)), \(value(report, "end")) after \(value(report, "seconds")) s"
    }

    private func fields(_ object: JSONValue, _ fields: [(name: String, label: String, unit: String)]) -> String {
        fields.filter { object[$0.name] != .null }
            .map { [$0.label, value(object, $0.name), $0.unit].filter { !$0.isEmpty }.joined(separator: " ") }
            .joined(separator: ", ")
    }

    private func value(_ object: JSONValue, _ name: String) -> String {
        object[name]?.string ?? object[name]?.description ?? ""
    }
}

private func percentile(_ sorted: [Duration], _ share: Double) -> Duration? {
    sorted.isEmpty ? nil : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
}

private func milliseconds(_ duration: Duration?) -> JSONValue {
    number(duration.map { $0 / .milliseconds(1) })
}

/// To a tenth.
private func number(_ value: Double?) -> JSONValue {
    value.map { .number(($0 * 10).rounded() / 10) } ?? .null
}
