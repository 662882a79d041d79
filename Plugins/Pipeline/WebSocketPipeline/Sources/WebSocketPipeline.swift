public import PatchbayPlugin
internal import WebSocket

/// Hands the call to a bot that listens on a WebSocket, in one of the protocols that bots speak.
public struct WebSocketPipeline: PipelinePlugin {
    public static let type = "websocket"
    public static let summary =
        "Hands the call to a bot over a WebSocket: Twilio Media Streams, OpenAI Realtime, Pipecat, or raw PCM."

    let settings: Settings
    private let tls: ClientTLS?
    private let announcement: WaveFile?
    private let headers: [String: String]
    /// What the bot is told and may say again.
    private let secrets: [Secret]

    /// The rates of the dialect.
    public var audio: AudioFormat { settings.audio }

    /// `buffer`: answers come faster than they are heard.
    public var playoutLimit: Duration { settings.buffer }

    /// Reads the files.
    ///
    /// - Throws: a ``SettingsFault`` for what cannot be read or sent, and for settings of another dialect.
    public init(settings: Settings, context: PluginContext) throws {
        try settings.checkDialect()
        if settings.trustRoots != nil, !settings.url.isSecure {
            throw SettingsFault("a ws: URL has no certificate; write wss:", field: "trust_roots")
        }
        if settings.buffer.components.attoseconds != 0 {
            throw SettingsFault("write whole seconds", field: "buffer")
        }
        self.settings = settings
        headers = try Self.headers(settings)
        // What comes from the environment is not written out, and is a secret no less.
        let fromEnvironment = settings.headers.filter { namesCredential($0.key) }.flatMap { $0.value.secrets }
        let elsewhere = [settings.token, settings.twilio?.authToken].compactMap(\.self)
        secrets =
            elsewhere + settings.secretHeaders.values + fromEnvironment + secretParameters(ofURL: settings.url.template)
        do throws(SettingsFault) {
            announcement = try settings.announcement.map { file throws(SettingsFault) in
                try WaveFile(reading: file.path)
            }
        } catch {
            throw SettingsFault(error.description, field: "announcement")
        }
        tls = settings.url.isSecure ? try Self.tls(trustRoots: settings.trustRoots?.path) : nil
    }

    /// BoringSSL's own words for what it cannot load are places in its source.
    private static func tls(trustRoots path: String?) throws(SettingsFault) -> ClientTLS {
        do throws(RegularFileError) {
            if let path { _ = try readRegularFile(path, limit: 16 << 20) }
        } catch {
            throw SettingsFault("cannot trust \(path ?? ""): \(error)", field: "trust_roots")
        }
        do {
            return try ClientTLS(trustRoots: path)
        } catch {
            throw SettingsFault(
                path.map { "cannot trust \($0): there is no certificate in it" }
                    ?? "the system's certificates cannot be read; name a file of them here", field: "trust_roots")
        }
    }

    private static func headers(_ settings: Settings) throws(SettingsFault) -> [String: String] {
        var headers: [String: String] = [:]
        for (field, written) in [
            ("headers", settings.headers.mapValues(\.text)),
            ("secret_headers", settings.secretHeaders.mapValues { $0.withValue(\.self) }),
            ("token", settings.token.map { ["authorization": "Bearer " + $0.withValue(\.self)] } ?? [:]),
        ] {
            for (name, value) in written {
                // RFC 9110 §5.1 and §5.5.
                guard isToken(name) else {
                    throw SettingsFault("'\(printable(name))' is no name of a header field", field: field)
                }
                guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
                    let whose = field == "token" ? "the token" : "the value of '\(name)'"
                    throw SettingsFault(
                        "\(whose) cannot be sent: there is a line break or another control character in it",
                        field: field)
                }
                guard field != "headers" || name.lowercased() != "authorization" else {
                    throw SettingsFault(
                        "'\(name)' is a secret, which does not stand here; put it into `token` or `secret_headers`",
                        field: field)
                }
                guard !isHandshakes(name.lowercased()) else {
                    throw SettingsFault("the header field '\(name)' is the handshake's own", field: field)
                }
                guard headers.updateValue(value, forKey: name.lowercased()) == nil else {
                    throw SettingsFault("the header field '\(name)' is set twice", field: field)
                }
            }
        }
        return headers
    }

    public func run(_ call: Call, audio: CallAudio) async throws {
        let conversation = Conversation(
            call: call, audio: audio, dialect: settings.makeDialect(CallFacts(call)),
            connect: { timeout in try await connect(call, within: timeout) }, patience: settings.connectTimeout,
            hidden: hidden)
        LiveCalls.shared.add(call.id, conversation, account: account)
        defer { LiveCalls.shared.remove(call.id) }
        do {
            try await conversation.run()
        } catch is CancellationError {
            // The caller has left.
        } catch {
            // Why is for the log: a server's answer may quote what it was sent, a key among it.
            call.report(.error(PipelineError("the bot cannot be reached, or was lost", isFatal: true)))
            audio.output.clear()
            if let announcement, !Task.isCancelled {
                try await audio.output.play(PCMFrame(announcement.samples, sampleRate: announcement.sampleRate))
                _ = await audio.output.mark().outcome
            }
            throw error
        }
    }

    /// The bot's own words, for the log.
    private func hidden(_ words: String) -> String {
        secrets.reduce(words) { words, secret in secret.hidden(in: words) }
    }

    private func connect(_ call: Call, within timeout: Duration) async throws -> WebSocketConnection {
        var limits = WebSocketLimits.ofServer
        limits.messageSize = 4 << 20
        limits.messageFragments = 1024
        limits.outboundQueue = 1 << 20
        limits.pingInterval = settings.pingTimeout / 4
        limits.pongTimeout = settings.pingTimeout
        limits.closeTimeout = .seconds(1)
        let url = settings.url.filled([
            "call_id": call.id, "tenant": call.tenant, "workflow_id": String(call.workflowID),
            "workflow_run_id": String(call.workflowRunID),
        ])
        do {
            return try await WebSocketClient.connect(
                url: url, headers: headers, subprotocol: settings.subprotocol, tls: tls, within: timeout,
                limits: limits)
        } catch WebSocketError.refused(let status, let body) {
            throw WebSocketError.refused(status: status, body: hidden(body))
        }
    }
}

/// What the WebSocket itself says (RFC 6455 §4.1), and how HTTP carries it.
func isHandshakes(_ name: String) -> Bool {
    name.hasPrefix("sec-websocket-")
        || ["host", "connection", "upgrade", "content-length", "transfer-encoding"].contains(name)
}

/// RFC 9110 §5.6.2.
func isToken(_ text: String) -> Bool {
    !text.isEmpty
        && text.utf8.allSatisfy { byte in
            switch Unicode.Scalar(byte) {
            case "A"..."Z", "a"..."z", "0"..."9": true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
}
