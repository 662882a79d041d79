import Foundation

/// `quality-replay`: the two ends of a call that `Benchmarks/Quality/quality.py` puts a network between.
@main
struct QualityReplay {
    private static let usage = """
        usage: quality-replay encode IN.pcm OUT.trace [--loss-percent N] [--bitrate B] [--complexity C] [--dtx]
               quality-replay receive IN.trace OUT.pcm OUT.frames [--rate HZ]

        PCM is 16-bit little-endian mono; encode takes 48 kHz. Packets and frames are listed in the order of the trace.

        """

    static func main() async {
        var arguments = Arguments(CommandLine.arguments.dropFirst())
        do {
            switch arguments.next() {
            case "encode": try Encoding(&arguments).run()
            case "receive": try await Receiving(&arguments).run()
            default: throw UsageError.command
            }
        } catch is UsageError {
            FileHandle.standardError.write(Data(usage.utf8))
            exit(64)
        } catch {
            FileHandle.standardError.write(Data("quality-replay: \(error)\n".utf8))
            exit(1)
        }
    }
}
