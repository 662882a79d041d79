import Audio
import Foundation
import Media
import PatchbayPlugin
import Signaling
import WebRTC
import WebSocket
import Wire

/// Places calls as a browser would, with the project's own stack on the browser's side.
struct Caller: Sendable {
    /// Where to call, and how.
    struct Target: Sendable {
        /// `ws://…/api/v1/ws/signaling/WORKFLOW/RUN`, or `http://…/` of a gateway or tenant, where an embed token
        /// starts the session. A run is called once: without RUN each call makes one up, and several calls count up
        /// from it.
        var url: String
        /// A JWT for the first, an embed token for the second.
        var token: String?
        /// For the first. It goes into a header, which access logs rarely have.
        var apiKey: String?
        /// The host to ask for, in place of the URL's, with its port where it has one.
        var host: String?
        /// The page that calls; unless it is set, one of the gateway's own.
        var origin: String?
        /// How long the call lasts, from the moment media flows.
        var seconds: Double
        /// What it says, over and over.
        var speech: WaveFile
        /// Whether the report is to have what was heard.
        var keepsHeard = false
        /// Whether what comes is counted only.
        var countsOnly = false
    }

    let engine: MediaEngine
    let target: Target
    let servers: CallerServers
    private static let patience = Duration.seconds(20)
    /// Waited for `call-ended` when the gateway has closed the peer connection.
    private static let patienceForReason = Duration.seconds(1)

    /// Places one call, the n-th of several from 0 on, and stays until it is over.
    func call(_ number: Int) async -> CallReport {
        var report = CallReport()
        do {
            let start = ContinuousClock.now
            let session = try await session(number)
            await servers.ask(session.credentials)
            let socket = try await open(session.url)
            let opened = MonotonicTime.now()
            do {
                try await converse(over: socket, start: start, opened: opened, &report)
            } catch {
                report.fail(error)
            }
            await socket.close(code: 1000, reason: "")
        } catch {
            report.fail(error)
        }
        return report
    }

    /// - Throws: why not. Where the gateway does not say, what it may be.
    private func open(_ url: String) async throws -> WebSocketConnection {
        do {
            return try await WebSocketClient.connect(url: url, headers: headers)
        } catch let refusal as WebSocketError where refusal == .refused(status: 403, body: "") {
            throw CallerError(
                "\(refusal): the path, the credential or the origin is not good, and the gateway's log says which")
        }
    }

    /// What every request has.
    private var headers: [String: String] {
        var headers = ["origin": target.origin ?? ownOrigin]
        headers["x-api-key"] = target.apiKey
        headers["host"] = target.host
        return headers
    }

    /// What a browser says that has its page from the gateway: an embed token may be good for such pages only.
    private var ownOrigin: String {
        let rest = target.url.firstRange(of: "://").map { target.url[$0.upperBound...] } ?? target.url[...]
        return "http://" + (target.host ?? String(rest.prefix { $0 != "/" && $0 != "?" }))
    }

    /// What a call begins with.
    private struct Session {
        /// The socket's, with its token.
        var url: String
        var credentials: CallerServers.Credentials?
    }

    /// An HTTP address is asked for a session.
    private func session(_ number: Int) async throws -> Session {
        guard target.url.hasPrefix("http://") else {
            let url = Self.signedIn(target.url, number)
            var session = Session(url: url)
            var headers = headers
            if let token = target.token {
                session.url += (url.contains("?") ? "&" : "?") + "token=" + token
                headers["authorization"] = "Bearer " + token
            }
            // Who shows nothing gets none.
            if target.token != nil || target.apiKey != nil, let path = url.firstRange(of: "/api/v1/") {
                session.credentials = CallerServers.Credentials(
                    url: "http" + url.dropFirst("ws".count)[..<path.lowerBound] + "/api/v1/turn/credentials",
                    headers: headers)
            }
            return session
        }
        let base = target.url.hasSuffix("/") ? String(target.url.dropLast()) : target.url
        let body: JSONValue = ["token": .string(target.token ?? "emb_demo")]
        let (status, text) = try await HTTPClient.post(
            url: base + "/api/v1/public/embed/init", json: body.description, headers: headers)
        guard status == 200, let reply = try? JSONValue(parsing: text),
            let session = reply["session_token"]?.string
        else { throw CallerError("the gateway started no session: HTTP \(status) \(text)") }
        return Session(
            url: "ws" + base.dropFirst("http".count) + "/api/v1/ws/public/signaling/" + session,
            credentials: .init(
                url: base + "/api/v1/public/embed/turn-credentials/" + session, headers: headers))
    }

    /// The URL of a signed-in call, with a run for the n-th of several.
    static func signedIn(_ url: String, _ number: Int) -> String {
        let path = url.prefix { $0 != "?" }
        var parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let route = parts.lastIndex(of: "signaling") else { return url }
        switch parts.count - route {
        case 2: parts.append(String(Int.random(in: 1..<1 << 31)))
        case 3: parts[route + 2] = Int(parts[route + 2]).map { String($0 &+ number) } ?? parts[route + 2]
        default: break
        }
        return parts.joined(separator: "/") + url.dropFirst(path.count)
    }

    private func converse(
        over socket: WebSocketConnection, start: ContinuousClock.Instant, opened: MonotonicTime,
        _ report: inout CallReport
    ) async throws {
        let rate = target.speech.sampleRate
        let (input, output) = (PCMInputQueue(frameSize: rate / 50), PlayoutQueue(rate: rate))
        let (signals, send) = AsyncStream<Signal>.makeStream()
        var settings = CallSettings(inputRate: rate, outputRate: rate, input: input, output: output)
        settings.decodes = !target.countsOnly
        let (media, offer) = try await engine.offer(settings) { send.yield(.media($0)) }
        defer { media.close() }
        let pcID = "PC-" + UUID().uuidString.replacingOccurrences(of: "-", with: "").lowercased()
        try await describe(media, offer: offer, pcID: pcID, over: socket)

        let reader = Task {
            for await message in socket.inbound {
                switch message {
                case .text(let text): await take(text, media, send)
                case .binary: break
                case .closed(let code, let reason): send.yield(.socketClosed("\(code) \(reason)"))
                }
            }
        }
        defer { reader.cancel() }
        let patience = Task {
            do { try await Task.sleep(for: Self.patience) } catch { return }
            send.yield(.failed("media did not connect within \(Self.patience)"))
        }
        defer { patience.cancel() }

        var conversation: Conversation?
        var end: Task<Void, any Error>?
        defer { end?.cancel() }
        var (mediaIsOver, duration) = (false, Double?.none)
        waiting: for await signal in signals {
            switch signal {
            case .media(.connected):
                patience.cancel()
                report.connected = true
                report.setup = ContinuousClock.now - start
                report.connectedAfter = MonotonicTime.now() - opened
                conversation = Conversation(
                    input: input, output: output, speech: target.speech, keepsHeard: target.keepsHeard)
                end = Task {
                    try await Task.sleep(for: .seconds(target.seconds))
                    send.yield(.timeIsUp)
                }
            case .media(.disconnected), .media(.reconnected), .media(.keyPress), .media(.noRelay): break
            case .media(.localCandidate(let candidate)):
                tell(candidate?.candidate, pcID: pcID, over: socket)
            case .media(.ended(let reason, let statistics)):
                report.end = "\(reason)"
                report.statistics = statistics
                duration = conversation?.elapsed
                guard reason == .closedByPeer else { break waiting }
                // Why comes by the socket, and mostly later than the end itself.
                mediaIsOver = true
                end?.cancel()
                end = Task {
                    try await Task.sleep(for: Self.patienceForReason)
                    send.yield(.timeIsUp)
                }
            case .callEnded(let reason):
                report.end = reason
                break waiting
            case .socketClosed(let reason):
                if !mediaIsOver { report.end = "socket closed: \(reason)" }
                break waiting
            case .timeIsUp:
                if !mediaIsOver { report.end = "hung up" }
                break waiting
            case .failed(let reason):
                throw CallerError(reason)
            }
        }
        if let statistics = try? await media.statistics() {
            report.statistics = statistics
        }
        report.firstPacketAfter = report.statistics.firstPacketReceived.map { $0 - opened }
        if let conversation {
            report.seconds = duration ?? conversation.elapsed
            media.close()
            input.finish()
            output.finish()
            (report.heard, report.latency, report.endLatency) = await conversation.finish()
            report.sampleRate = rate
        } else {
            throw CallerError(report.end)
        }
    }

    /// Sends the offer, and then our candidates one by one, as browsers do.
    private func describe(
        _ media: MediaCall, offer: String, pcID: String, over socket: WebSocketConnection
    ) async throws {
        send("offer", ["pc_id": .string(pcID), "sdp": .string(offer), "type": "offer"], over: socket)
        for candidate in try await media.localCandidates() {
            tell(candidate, pcID: pcID, over: socket)
        }
    }

    /// Sends one candidate of ours, or that there are no more.
    private func tell(_ candidate: String?, pcID: String, over socket: WebSocketConnection) {
        let payload: JSONValue = [
            "pc_id": .string(pcID),
            "candidate": candidate.map { ["candidate": .string($0), "sdpMid": "0", "sdpMLineIndex": 0] } ?? .null,
        ]
        send("ice-candidate", payload, over: socket)
    }

    private func send(_ type: String, _ payload: JSONValue, over socket: WebSocketConnection) {
        socket.send((["type": .string(type), "payload": payload] as JSONValue).description)
    }

    private func take(_ text: String, _ media: MediaCall, _ send: AsyncStream<Signal>.Continuation) async {
        guard let message = try? JSONValue(parsing: text), message.object != nil else {
            send.yield(.failed("the gateway sent a message that is no JSON object"))
            return
        }
        // The bot's own messages come as they are, and may have none.
        let payload = message["payload"] ?? [:]
        switch message["type"]?.string {
        case "answer":
            do {
                try await media.accept(answer: payload["sdp"]?.string ?? "")
            } catch {
                send.yield(.failed("the gateway's answer: \(error)"))
            }
        case "ice-candidate":
            if let candidate = payload["candidate"]?["candidate"]?.string, !candidate.isEmpty {
                media.addRemoteCandidate(candidate)
            } else {
                media.endOfRemoteCandidates()
            }
        case "error": send.yield(.failed(payload["message"]?.string ?? "an error without a message"))
        case "call-ended": send.yield(.callEnded(payload["detail"]?.string ?? payload["reason"]?.string ?? ""))
        default: break  // Events are for those who know them.
        }
    }

    private enum Signal: Sendable {
        case media(PeerConnection.Event)
        case callEnded(String)
        case socketClosed(String)
        case failed(String)
        case timeIsUp
    }
}

/// Why a call was not placed, for whoever placed it.
struct CallerError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}

/// The talking part of a call: says the speech and listens to what comes back.
private struct Conversation {
    private let start = ContinuousClock.now
    private let speech: WaveFile
    private let talking: Task<Void, any Error>
    private let listening: Task<(samples: [Int16], hearing: Hearing), Never>

    init(input: PCMInputQueue, output: PlayoutQueue, speech: WaveFile, keepsHeard: Bool) {
        self.speech = speech
        talking = Task {
            while true { try await output.play(speech.samples) }
        }
        listening = Task { [start] in
            var samples: [Int16] = []
            var hearing = Hearing(rate: speech.sampleRate)
            while let frame = await input.next() {
                hearing.hear(frame.samples, at: ContinuousClock.now - start)
                if keepsHeard { samples += frame.samples }
            }
            return (samples, hearing)
        }
    }

    var elapsed: Double {
        (ContinuousClock.now - start) / .seconds(1)
    }

    /// What was heard if it was kept, and how long after it was said it came back.
    func finish() async -> (heard: [Int16], latency: Duration?, endLatency: Duration?) {
        talking.cancel()
        let (samples, hearing) = await listening.value
        let latencies = hearing.latencies(of: speech.samples)
        return (samples, latencies.beginning, latencies.end)
    }
}
