import PatchbayPlugin
import WebRTC

/// What one call came to.
struct CallReport: Sendable {
    var connected = false
    var error: String?
    /// From the first request to media in both directions.
    var setup: Duration?
    /// From the open WebSocket to media in both directions, and to the first packet with the gateway's sound.
    var connectedAfter: Duration?
    var firstPacketAfter: Duration?
    var seconds = 0.0
    var end = "the call ended"
    var statistics = CallStatistics()
    /// From saying to hearing, at the beginning and at the end, where what was heard is what was said.
    var latency: Duration?
    var endLatency: Duration?
    var heard: [Int16] = []
    var sampleRate = 48_000

    mutating func fail(_ error: any Error) {
        self.error = "\(error)"
        end = "failed"
    }

    var json: JSONValue {
        [
            "connected": .bool(connected), "error": error.map(JSONValue.string) ?? .null,
            "setup_ms": milliseconds(setup), "connected_ms": milliseconds(connectedAfter),
            "first_packet_ms": milliseconds(firstPacketAfter), "packets_sent": .integer(statistics.packetsSent),
            "packets_received": .integer(statistics.packetsReceived),
            "packets_lost": .integer(statistics.packetsLost), "remote_lost": .integer(statistics.remotePacketsLost),
            "frames_concealed": .integer(statistics.framesConcealed),
            "gap_p50_ms": number(statistics.gaps.percentile(0.5)),
            "gap_p99_ms": number(statistics.gaps.percentile(0.99)),
            "gap_max_ms": milliseconds(statistics.gaps.longest), "jitter_ms": milliseconds(statistics.jitter),
            "round_trip_ms": milliseconds(statistics.roundTripTime), "latency_ms": milliseconds(latency),
            "latency_end_ms": milliseconds(endLatency),
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
        var gaps = DurationHistogram()
        for report in reports { gaps += report.statistics.gaps }
        func total(_ count: KeyPath<CallStatistics, Int>) -> JSONValue {
            .integer(reports.reduce(0) { $0 + $1.statistics[keyPath: count] })
        }
        var summary: [String: JSONValue] = [
            "calls": .integer(reports.count), "connected": .integer(reports.count { $0.connected }),
            "packets_sent": total(\.packetsSent), "packets_received": total(\.packetsReceived),
            "packets_lost": total(\.packetsLost), "remote_lost": total(\.remotePacketsLost),
            "gap_p50_ms": number(gaps.percentile(0.5)), "gap_p99_ms": number(gaps.percentile(0.99)),
            "gap_max_ms": milliseconds(gaps.longest),
        ]
        let times: [(name: String, of: (CallReport) -> Duration?)] = [
            ("setup", \.setup), ("connected", \.connectedAfter), ("first_packet", \.firstPacketAfter),
            ("latency", \.latency), ("latency_end", \.endLatency),
        ]
        for time in times {
            let sorted = reports.compactMap(time.of).sorted()
            summary["\(time.name)_p50_ms"] = milliseconds(percentile(sorted, 0.5))
            summary["\(time.name)_p99_ms"] = milliseconds(percentile(sorted, 0.99))
        }
        return .object(summary)
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
        ("setup_ms", "set up in", "ms"), ("connected_ms", "media after", "ms"),
        ("first_packet_ms", "first packet after", "ms"), ("packets_sent", "sent", "packets"),
        ("packets_received", "received", "packets"),
        ("packets_lost", "lost", ""), ("remote_lost", "lost on the way there", ""), ("gap_p99_ms", "gap p99", "ms"),
        ("gap_max_ms", "gap max", "ms"), ("jitter_ms", "jitter", "ms"), ("round_trip_ms", "round trip", "ms"),
        ("latency_ms", "latency", "ms"), ("latency_end_ms", "at the end", "ms"),
    ]
    private static let summaryFields = [
        ("setup_p50_ms", "set up p50", "ms"), ("setup_p99_ms", "p99", "ms"),
        ("connected_p50_ms", "media after p50", "ms"), ("connected_p99_ms", "p99", "ms"),
        ("first_packet_p50_ms", "first packet after p50", "ms"), ("first_packet_p99_ms", "p99", "ms"),
        ("packets_sent", "sent", "packets"),
        ("packets_received", "received", "packets"), ("packets_lost", "lost", ""), ("gap_p99_ms", "gap p99", "ms"),
        ("gap_max_ms", "gap max", "ms"), ("latency_p50_ms", "latency p50", "ms"),
        ("latency_p99_ms", "p99", "ms"), ("latency_end_p50_ms", "at the end p50", "ms"),
        ("latency_end_p99_ms", "p99", "ms"),
    ]

    private func line(_ report: JSONValue, failure: String?) -> String {
        if let failure {
            // The gateway's words may be in it, or those of whatever is in its place.
            let reason = failure.oneLine(atMost: 512)
            return report["connected"] == true ? "connected, then failed: \(reason)" : "not connected: \(reason)"
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
        (object[name]?.string ?? object[name]?.description ?? "").oneLine()
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
