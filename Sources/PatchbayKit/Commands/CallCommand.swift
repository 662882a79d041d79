import ArgumentParser
import Audio
import Foundation
import Media
import PatchbayConfig
import PatchbayPlugin
import Wire

/// `patchbay call`
struct CallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "call",
        abstract: "Places calls without a browser, and prints how they went.",
        discussion: """
            URL is http://HOST:PORT/ of a gateway, for a session from an embed token, or \
            ws://HOST:PORT/api/v1/ws/signaling/WORKFLOW/RUN, for a JWT or an API key. A run can be called once: several \
            calls count up from RUN, and without it each makes one up. Exits with 70 when a call does not connect.

            Figures: setup_ms is from the first request to media, connected_ms and first_packet_ms are from the open \
            WebSocket to media and to the gateway's first packet of sound. latency_ms and latency_end_ms, in the first and \
            the last 15 s, are from saying to hearing; they need a gateway that answers with an echo.

            After the figures comes why the call ended (end, with --json): hung up, when its time was over; else what the \
            gateway said in call-ended, such as pipeline_failed when the bot is lost; else what became of the connection.
            """)

    @Argument(help: "Where to call.")
    var url: String
    @Option(help: "An embed token for http://, a JWT for ws://. @FILE: the file that has it.")
    var token: String?
    @Option(help: "An API key for ws://, alone or beside a JWT. @FILE: the file that has it.")
    var apiKey: String?
    @Option(help: "The host to ask for, in place of the URL's: that of a tenant whose name does not lead here yet.")
    var host: String?
    @Option(
        help: "The page to call as, such as https://shop.example; unless it is said, one of the gateway's own host.")
    var origin: String?
    @Option(
        name: .customLong("in"),
        help:
            "What to say, over and over: a WAV file, 16-bit PCM. Without it, a second of tone bursts, then two of silence."
    )
    var speech: String?
    @Option(
        name: .customLong("out"), help: "Where to keep what was heard, as WAV; call n of several goes to NAME-n.wav.")
    var heard: String?
    @Option(help: "How long each call lasts; by default as long as the speech and 3 s more.")
    var seconds: Double?
    @Option(help: "A STUN server to ask where this machine is seen, as stun:HOST:PORT; may be said again for others.")
    var stun: [String] = []
    @Flag(help: "Do without the TURN servers that the gateway has for its callers.")
    var noTurn = false
    @Option(help: "How many calls to place.")
    var calls = 1
    @Option(help: "How many of them to begin in a second; by default all at once.")
    var rate: Double?
    @Option(help: "How much work the callers' own encoder does, from 0 to 10.")
    var complexity = EncoderSettings().complexity
    @Flag(help: "Only count what comes, without decoding it: no latency, but more calls from one machine.")
    var countOnly = false
    @Flag(help: "Print figures as JSON.")
    var json = false

    mutating func validate() throws {
        token = try token.map(Self.credential)
        apiKey = try apiKey.map(Self.credential)
        guard url.hasPrefix("http://") || url.hasPrefix("ws://") else {
            throw ValidationError("the URL starts with http:// or ws://")
        }
        if let apiKey {
            guard url.hasPrefix("ws://") else {
                throw ValidationError("--api-key is for ws://; a session of http:// is started with an embed token")
            }
            guard Self.isFieldValue(apiKey) else {
                throw ValidationError("--api-key goes into a header: printable ASCII, with no space at either end")
            }
        }
        if let host, !Self.isHost(host) {
            throw ValidationError("--host is such as voice.example.org, with :PORT where it has one; not \(host)")
        }
        if let origin, !Self.isOrigin(origin) {
            throw ValidationError(
                "--origin is what a browser says of a page, such as https://shop.example, or null; not \(origin)")
        }
        guard (1...1000).contains(calls) else { throw ValidationError("--calls goes from 1 to 1000") }
        guard (0.1...86_400).contains(seconds ?? 1) else { throw ValidationError("--seconds goes from 0.1 to 86400") }
        guard (0.01...1000).contains(rate ?? 1) else { throw ValidationError("--rate goes from 0.01 to 1000") }
        if countOnly, heard != nil {
            throw ValidationError("with --count-only nothing is heard, so --out has nothing to keep")
        }
        for text in stun where ICEServerURL.decode(text).map({ $0.isTURN || $0.transport != .udp }) ?? true {
            throw ValidationError("--stun is followed by stun:HOST or stun:HOST:PORT, not \(text)")
        }
        guard (0...10).contains(complexity) else { throw ValidationError("--complexity goes from 0 to 10") }
    }

    func run() async throws {
        let wave: WaveFile
        let engine: MediaEngine
        do {
            wave = try speech.map { try WaveFile(reading: $0) } ?? .bursts
            // A loop a call, for each needs a port of its own: two calls between the same two ports cannot be told apart.
            engine = try MediaEngine(
                addresses: Self.addresses(toCall: url), ports: nil, loops: calls,
                encoder: EncoderSettings(complexity: complexity))
        } catch {
            complain("error: \(error)")
            throw ExitCode(ExitStatus.software)
        }
        defer { engine.stop() }
        let length = Double(wave.samples.count) / Double(wave.sampleRate)
        let caller = Caller(
            engine: engine,
            target: Caller.Target(
                url: url, token: token, apiKey: apiKey, host: host, origin: origin, seconds: seconds ?? length + 3,
                speech: wave, keepsHeard: heard != nil, countsOnly: countOnly),
            servers: CallerServers(engine: engine, stun: stun.compactMap(ICEServerURL.decode), usesTURN: !noTurn))
        let start = ContinuousClock.now
        let reports = await withTaskGroup(of: (Int, CallReport).self) { group in
            for number in 0..<calls {
                group.addTask {
                    if let rate { try? await Task.sleep(until: start + .seconds(Double(number) / rate)) }
                    return (number, await caller.call(number))
                }
            }
            var reports = [CallReport](repeating: CallReport(), count: calls)
            for await (number, report) in group { reports[number] = report }
            return reports
        }
        let summary = CallSummary(reports: reports)
        say(json ? summary.json.description : summary.text)
        do {
            for (number, report) in reports.enumerated() where report.connected {
                try keep(report, number: number)
            }
        } catch {
            complain("error: \(error)")
            throw ExitCode(ExitStatus.software)
        }
        if !summary.allConnected { throw ExitCode(ExitStatus.software) }
    }

    private func keep(_ report: CallReport, number: Int) throws {
        guard let heard else { return }
        let name =
            calls == 1 ? heard : (heard.hasSuffix(".wav") ? String(heard.dropLast(4)) : heard) + "-\(number + 1).wav"
        let wave = WaveFile(samples: report.heard, sampleRate: report.sampleRate)
        try Data(wave.bytes).write(to: URL(fileURLWithPath: name))
    }

    /// What stands in the command line, where the machine's other users can see it, or in the file that is named there, which may
    /// be a pipe.
    private static func credential(_ text: String) throws -> String {
        guard text.hasPrefix("@") else { return text }
        let path = String(text.dropFirst())
        let file = FileHandle(forReadingAtPath: path)
        guard let bytes = try? file?.read(upToCount: 64 * 1024), let content = String(bytes: bytes, encoding: .utf8)
        else {
            throw ValidationError("the file '\(path)', which should have a token or a key, cannot be read")
        }
        return content.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Whether text can be the whole of a header field (RFC 9110 §5.5).
    static func isFieldValue(_ text: String) -> Bool {
        !text.isEmpty && !text.hasPrefix(" ") && !text.hasSuffix(" ")
            && text.utf8.allSatisfy { (0x20...0x7e).contains($0) }
    }

    /// Whether browsers say such a thing: scheme, host and port, or `null` (RFC 6454 §6.1).
    static func isOrigin(_ text: String) -> Bool {
        guard let scheme = text.firstRange(of: "://") else { return text == "null" }
        let host = text[scheme.upperBound...]
        return isHost(String(host)) && !text[..<scheme.lowerBound].isEmpty
    }

    /// Whether text can be a host with or without a port (RFC 9110 §7.2).
    static func isHost(_ text: String) -> Bool {
        isFieldValue(text) && !text.contains { "/?#@, ".contains($0) }
    }

    /// Where the gateway is called from: from every usable address.
    ///
    /// One on loopback from there too: its media may be on loopback only. With `addresses: auto` it never dials loopback,
    /// and needs the others.
    ///
    /// - Parameter resolve: what a name stands for.
    static func addresses(
        toCall url: String, resolve: (String) -> [SocketAddress] = Interfaces.addresses(of:)
    ) -> [SocketAddress] {
        let host = (URL(string: url)?.host() ?? "").trimmingCharacters(in: ["[", "]"])
        let named =
            host == "localhost"
            ? [SocketAddress(ipv4: 0x7f00_0001, port: 0)] : resolve(host).filter(\.isLoopback)
        return named + Interfaces.usableAddresses().filter { !named.contains($0) }
    }
}

extension WaveFile {
    /// Four times a second of tone bursts of uneven length, so that an echo of them can be told from any other sound, and
    /// two of silence, for one who answers when the caller pauses.
    fileprivate static var bursts: WaveFile {
        let rate = 16_000
        var samples: [Int16] = []
        var number = 1
        while samples.count < rate * 12 {
            let on = rate * (60 + number * 37 % 140) / 1000
            let off = rate * (40 + number * 53 % 160) / 1000
            let pitch = Double(300 + number * 97 % 900)
            for index in 0..<on {
                samples.append(Int16(8000 * sin(2 * .pi * pitch * Double(index) / Double(rate))))
            }
            samples += [Int16](repeating: 0, count: samples.count % (rate * 3) < rate ? off : rate * 2)
            number += 1
        }
        return WaveFile(samples: samples, sampleRate: rate)
    }
}
