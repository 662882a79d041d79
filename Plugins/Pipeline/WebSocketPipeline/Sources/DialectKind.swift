public import PatchbayPlugin

/// The protocols that bots speak. Each is a ``Dialect``.
public enum DialectKind: String, FieldChoice {
    /// Twilio Media Streams, bidirectional.
    case twilio
    /// The OpenAI Realtime API.
    case openaiRealtime = "openai-realtime"
    /// Pipecat's WebSocket transport.
    case pipecat
    /// Raw PCM, the `listen` verb of jambonz.
    case pcm
}

extension WebSocketPipeline.Settings {
    /// The rates of the dialect.
    var audio: AudioFormat {
        switch dialect {
        case .twilio:
            let rate = (twilio ?? .init()).encoding.format.rate
            return AudioFormat(inputRate: rate, outputRate: rate)
        case .openaiRealtime: return OpenAIRealtimeDialect.audio
        case .pipecat:
            let pipecat = pipecat ?? .init()
            return AudioFormat(inputRate: pipecat.inputRate.hertz, outputRate: pipecat.outputRate.hertz)
        case .pcm:
            let pcm = pcm ?? .init()
            return AudioFormat(inputRate: pcm.inputRate.hertz, outputRate: pcm.outputRate.hertz)
        }
    }

    /// What is asked for in `Sec-WebSocket-Protocol`.
    var subprotocol: String? {
        switch dialect {
        case .twilio, .openaiRealtime, .pipecat: nil
        case .pcm: (pcm ?? .init()).subprotocol.isEmpty ? nil : (pcm ?? .init()).subprotocol
        }
    }

    func makeDialect(_ facts: CallFacts) -> any Dialect {
        switch dialect {
        case .twilio:
            let twilio = twilio ?? .init()
            return TwilioDialect(facts, format: twilio.encoding.format, accountID: twilio.accountSid)
        case .openaiRealtime:
            let openai = openaiRealtime ?? .init()
            return OpenAIRealtimeDialect(facts, session: openai.session, speaksFirst: openai.speaksFirst)
        case .pipecat: return PipecatDialect(facts, greets: (pipecat ?? .init()).clientReady)
        case .pcm: return PCMDialect(facts, audio: audio)
        }
    }

    /// Settings of a dialect that the bot does not speak would mean nothing.
    func checkDialect() throws(SettingsFault) {
        let written: [(DialectKind, String, Bool)] = [
            (.twilio, "twilio", twilio != nil), (.openaiRealtime, "openai_realtime", openaiRealtime != nil),
            (.pipecat, "pipecat", pipecat != nil), (.pcm, "pcm", pcm != nil),
        ]
        for (kind, field, isWritten) in written where isWritten && kind != dialect {
            throw SettingsFault(
                "these are settings of `dialect: \(kind.rawValue)`, and the dialect is \(dialect.rawValue)",
                field: field)
        }
        if let openaiRealtime { try OpenAIRealtimeDialect.check(openaiRealtime.session) }
        if let name = pcm?.subprotocol, !isToken(name), !name.isEmpty {
            throw SettingsFault(
                "a subprotocol is a word of letters, digits and !#$%&'*+-.^_`|~, or \"\" for none", field: "pcm")
        }
        if let id = twilio?.accountSid, id.isEmpty || !id.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) {
            throw SettingsFault("an account_sid has letters and digits only", field: "twilio")
        }
    }
}
