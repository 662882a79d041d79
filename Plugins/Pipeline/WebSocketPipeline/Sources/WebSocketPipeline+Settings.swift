public import PatchbayPlugin
internal import WebSocket

extension WebSocketPipeline {
    /// Where the bot is, what it speaks, and how long it is waited for.
    public struct Settings: PluginSettings {
        @Field("The protocol that the bot speaks")
        public var dialect: DialectKind

        @Field(
            "Where it listens: wss://host/path, or ws:// for a bot nearby. {call_id}, {tenant}, {workflow_id} and "
                + "{workflow_run_id} in path and query stand for the call's")
        public var url: BotURL

        @Field("Sent as `Authorization: Bearer …`")
        public var token: Secret?

        @Field("More header fields of the handshake, but for secrets")
        public var headers: [String: HeaderValue] = [:]

        @Field("Header fields of the handshake that nobody else may know")
        public var secretHeaders: [String: Secret] = [:]

        @Field("PEM file of the certificates to trust; those of the system unless set")
        public var trustRoots: FileReference?

        @Field(
            "How long the bot has to answer the handshake. One that fails is tried once more in that time",
            in: .milliseconds(100) ... .seconds(60))
        public var connectTimeout: Duration = .milliseconds(2500)

        @Field(
            "How long the bot may leave pings unanswered before it counts as gone. More for one that blocks its own loop",
            in: .milliseconds(500) ... .seconds(120))
        public var pingTimeout: Duration = .seconds(2)

        @Field(
            "How much of the bot's voice may wait to be heard, in whole seconds; then the bot has to wait",
            in: .seconds(1) ... .seconds(600))
        public var buffer: Duration = .seconds(300)

        @Field("WAV file that the caller hears when the bot cannot be reached or is lost")
        public var announcement: FileReference?

        @Field("For `dialect: twilio`")
        public var twilio: Twilio?

        @Field("For `dialect: openai-realtime`")
        public var openaiRealtime: OpenAIRealtime?

        @Field("For `dialect: pipecat`")
        public var pipecat: Pipecat?

        @Field("For `dialect: pcm`")
        public var pcm: PCM?

        /// Makes settings without those that must be written.
        public init() {}
    }

    /// Twilio Media Streams.
    public struct Twilio: PluginSettings {
        @Field("How sound is coded: mu-law at 8 kHz, or 16-bit linear at 16 or 24 kHz for bots that know it")
        public var encoding: TwilioEncoding = .muLaw8k

        @Field("What the bot knows as the account")
        public var accountSid: String = "AC00000000000000000000000000000000"

        @Field(
            "The bot hangs up with it at POST /2010-04-01/Accounts/{account_sid}/Calls/{call}.json, as it would at "
                + "Twilio's API; not served unless set")
        public var authToken: Secret?

        /// Makes the default settings.
        public init() {}
    }

    /// How sound is coded.
    public enum TwilioEncoding: String, FieldChoice {
        /// G.711, 8 kHz.
        case muLaw8k = "mulaw"
        /// 16-bit linear, 16 kHz.
        case linear16k = "l16-16000"
        /// 16-bit linear, 24 kHz.
        case linear24k = "l16-24000"

        var format: TwilioDialect.Format {
            switch self {
            case .muLaw8k: TwilioDialect.Format(isMuLaw: true, rate: 8000)
            case .linear16k: TwilioDialect.Format(isMuLaw: false, rate: 16_000)
            case .linear24k: TwilioDialect.Format(isMuLaw: false, rate: 24_000)
            }
        }
    }

    /// The OpenAI Realtime API.
    public struct OpenAIRealtime: PluginSettings {
        @Field(
            "The session, as the API's session.update has it: instructions, voice, turn_detection, tools… {{name}} in "
                + "its instructions stands for a context variable")
        public var session: JSONValue = [:]

        @Field("Whether the bot speaks before the caller has")
        public var speaksFirst: Bool = false

        /// Makes the default settings.
        public init() {}

        /// Reads both. What a tool of the session is to show a server of its own comes from the environment.
        public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> OpenAIRealtime? {
            let settings = OpenAIRealtime()
            let isComplete = reader.fill(settings.fields, from: node)
            let written = node["session"]?["tools"]?.writtenCredentials ?? []
            for node in written {
                reader.fault(
                    at: node, "this is a secret, which does not stand here",
                    help: "write \"${NAME}\", and have the environment say it")
            }
            return isComplete && written.isEmpty ? settings : nil
        }
    }

    /// Pipecat's WebSocket transport.
    public struct Pipecat: PluginSettings {
        @Field("Samples a second that the bot hears: 8000, 16000, 24000 or 48000")
        public var inputRate: SampleRate = .of16k

        @Field("Samples a second that the bot speaks with, as a rule; others are resampled")
        public var outputRate: SampleRate = .of24k

        @Field("Whether the gateway says client-ready; false where the page's own client does")
        public var clientReady: Bool = true

        /// Makes the default settings.
        public init() {}
    }

    /// Raw PCM.
    public struct PCM: PluginSettings {
        @Field("Samples a second that the bot hears: 8000, 16000, 24000 or 48000")
        public var inputRate: SampleRate = .of16k

        @Field("Samples a second that the bot speaks with")
        public var outputRate: SampleRate = .of16k

        @Field("The WebSocket subprotocol that is asked for; empty asks for none")
        public var subprotocol: String = "audio.jambonz.org"

        /// Makes the default settings.
        public init() {}
    }

    /// Samples a second.
    public enum SampleRate: String, FieldChoice {
        /// As its name says.
        case of8k = "8000"
        /// As its name says.
        case of16k = "16000"
        /// As its name says.
        case of24k = "24000"
        /// As its name says.
        case of48k = "48000"

        var hertz: Int { Int(rawValue) ?? 16_000 }
    }
}

/// The address of a WebSocket, with places for a call's names in it.
public struct BotURL: FieldScalar, Hashable {
    /// As it is written.
    public let template: String

    static let places = ["call_id", "tenant", "workflow_id", "workflow_run_id"]

    /// `a ws:// or wss:// URL`
    public static var noun: String { "a ws:// or wss:// URL" }
    /// JSON Schema: a URL.
    public static var schema: JSONValue { ["type": "string", "pattern": #"^wss?://|\$\{"#] }

    /// A URL with a host, and, in its path and query, no place but those of a call.
    public static func decode(_ text: String) -> BotURL? {
        fault(in: text) == nil ? BotURL(template: text) : nil
    }

    /// What is wrong with it.
    public static func advice(for text: String) -> String? { fault(in: text) }

    /// Decodes; what may hold a password is not shown.
    public static func read(_ node: SettingsNode, _ reader: SettingsReader) -> BotURL? {
        if reader.refusesCredential(inURL: node, settings: "`token` or `secret_headers`") { return nil }
        if case .scalar(let scalar) = node.content, scalar.text.contains("@"), decode(scalar.text) == nil {
            reader.fault(
                at: node, "expected \(noun) without user and password",
                help: "put the password into `token` or `secret_headers`")
            return nil
        }
        guard let text = reader.text(of: node, expected: noun) else { return nil }
        guard let url = decode(text) else {
            reader.mismatch(at: node, expected: noun, advice: advice(for: text))
            return nil
        }
        return url
    }

    private static func fault(in text: String) -> String? {
        do throws(WebSocketError) {
            _ = try ClientURL(text, schemes: ["ws", "wss"])
        } catch {
            guard case .badURL(_, let reason) = error else { return error.description }
            // A call must not choose whom the gateway dials.
            let rest = text.firstRange(of: "://").map { text[$0.upperBound...] } ?? ""
            let isPlace = rest.prefix { $0 != "/" && $0 != "?" }.contains("{")
            return isPlace ? "a place of the call's stands in path or query, not in host or port" : reason
        }
        let filled = BotURL(template: text).filled(Dictionary(uniqueKeysWithValues: places.map { ($0, "1") }))
        guard let brace = filled.firstIndex(of: "{") else { return nil }
        let place = filled[brace...].prefix { $0 != "}" }
        let known = places.map { "{\($0)}" }
        return "\(printable(String(place)))} is no place; there are \(known.dropLast().joined(separator: ", ")) and "
            + (known.last ?? "")
    }

    /// The template.
    public var written: JSONValue { .string(template) }

    var isSecure: Bool { template.hasPrefix("wss:") }

    func filled(_ names: [String: String]) -> String {
        names.reduce(template) { text, name in
            text.split(separator: "{\(name.key)}", omittingEmptySubsequences: false).joined(
                separator: Self.percentEncoded(name.value))
        }
    }

    /// RFC 3986 §2.3: all but unreserved characters.
    private static func percentEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            switch Unicode.Scalar(byte) {
            case "A"..."Z", "a"..."z", "0"..."9", "-", ".", "_", "~": String(Unicode.Scalar(byte))
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}
