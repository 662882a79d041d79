import Logging
import PatchbayPlugin
import WebRTC
import Wire

/// How a call goes, for operators, for its own client, and for the log: all three from here.
extension CallStatistics {
    /// By name, with the unit in it where it is not a plain count; null where it is not known.
    var figures: [String: JSONValue] {
        let quality = ListeningQuality(self)
        let expected = packetsReceived &+ packetsLost
        return [
            "packets_sent": .integer(packetsSent), "packets_received": .integer(packetsReceived),
            "packets_lost": .integer(packetsLost), "packets_late": .integer(packetsLate),
            "packets_duplicate": .integer(packetsDuplicate),
            "loss": Self.number(expected > 0 ? max(0, Double(packetsLost) / Double(expected)) : nil, digits: 4),
            "remote_packets_lost": .integer(remotePacketsLost), "remote_loss": Self.number(remoteLoss, digits: 4),
            "frames_received": .integer(framesReceived), "frames_recovered": .integer(framesRecovered),
            "frames_concealed": .integer(framesConcealed),
            "jitter_ms": Self.milliseconds(jitter), "remote_jitter_ms": Self.milliseconds(remoteJitter),
            "reorder_hold_ms": Self.milliseconds(reorderHold), "round_trip_ms": Self.milliseconds(roundTripTime),
            "gap_p50_ms": Self.number(gaps.percentile(0.5), digits: 1),
            "gap_p99_ms": Self.number(gaps.percentile(0.99), digits: 1),
            "gap_max_ms": Self.milliseconds(gaps.longest),
            "mos_received": Self.number(quality.received, digits: 2), "mos_sent": Self.number(quality.sent, digits: 2),
            "audio_level_dbov": audioLevel.map { .integer(-$0) } ?? .null,
            "key_presses": .integer(keyPresses),
            "input_depth_ms": Self.milliseconds(inputDepth), "input_frames_dropped": .integer(inputFramesDropped),
            "playout_depth_ms": Self.milliseconds(playoutDepth), "playout_clears": .integer(playoutClears),
            "playout_marks": .integer(playoutMarks), "complexity": .integer(complexity),
            "bitrate_bps": .integer(bitrate), "sends_fec": .bool(sendsFEC),
            "dropped": .object(dropped.figures),
        ]
    }

    /// The same for a log line, flat, without what is not known and without reasons for which nothing was dropped.
    var metadata: Logger.Metadata {
        var flat: Logger.Metadata = [:]
        for (name, value) in figures {
            if let members = value.object {
                for (reason, count) in members where count != 0 { flat["\(name)_\(reason)"] = "\(count)" }
            } else if value != .null {
                flat[name] = "\(value)"
            }
        }
        return flat
    }

    private static func milliseconds(_ duration: Duration?) -> JSONValue {
        number(duration?.milliseconds, digits: 1)
    }

    private static func number(_ value: Double?, digits: Int) -> JSONValue {
        guard let value else { return .null }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        return .number((value * scale).rounded() / scale)
    }
}

extension CallStatistics.Drops {
    fileprivate var figures: [String: JSONValue] {
        [
            "unvalidated": .integer(unvalidated), "early": .integer(early), "unauthentic": .integer(unauthentic),
            "malformed": .integer(malformed), "too_many": .integer(tooMany),
            "unknown_stream": .integer(unknownStream), "stun": .integer(stun),
        ]
    }
}
