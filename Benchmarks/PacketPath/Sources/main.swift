// Counts heap allocations on the media path, and prints them as JSON. `--origins` prints where those come from that
// RTP makes, to standard error.
import CPacketPath

try await MemoryCall.measure()
let memory = report()
if CommandLine.arguments.contains("--origins") { counter_print_origins() }
try await LoopCalls.run()
let loop = report()
if CommandLine.arguments.contains("--origins") { counter_print_origins() }
print("{\"memory\": {\(memory)},\n \"loop\": {\(loop)}}")

func report() -> String {
    let kinds = [
        ("rtp_in", counter_rtp_in), ("rtp_out", counter_rtp_out), ("rtcp", counter_rtcp), ("stun", counter_stun),
        ("other", counter_other),
    ]
    return kinds.map { name, kind in
        let sum = counter_total(kind)
        return "\"\(name)\": {\"spans\": \(sum.spans), \"packets\": \(sum.packets), "
            + "\"allocations\": \(sum.allocations), \"below_srtp\": \(sum.below_srtp), \"frees\": \(sum.frees)}"
    }.joined(separator: ",\n  ")
}
