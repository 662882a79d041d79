/// What stands under `/api/v1/public/embed/`.
enum Endpoint: Equatable {
    case start
    case config(token: String)
    case turnCredentials(session: String)
    case chat(session: String)
    case chatMessages(session: String)
    case chatEnd(session: String)

    /// Reads the rest of the path, its segments with `/` between them.
    init?(path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if parts == ["init"] {
            self = .start
            return
        }
        guard parts.count >= 2, !parts[1].isEmpty else { return nil }
        switch (parts[0], parts.count, parts.last) {
        case ("config", 2, _): self = .config(token: parts[1])
        case ("turn-credentials", 2, _): self = .turnCredentials(session: parts[1])
        case ("chat", 2, _): self = .chat(session: parts[1])
        case ("chat", 3, "messages"): self = .chatMessages(session: parts[1])
        case ("chat", 3, "end"): self = .chatEnd(session: parts[1])
        default: return nil
        }
    }

    /// The method it answers, beside OPTIONS.
    var method: String {
        switch self {
        case .start, .chatMessages, .chatEnd: "POST"
        case .config, .turnCredentials, .chat: "GET"
        }
    }

    /// The methods a preflight may ask for.
    var preflightMethods: [String] {
        switch self {
        case .start: ["POST"]
        case .config, .turnCredentials: ["GET"]
        case .chat, .chatMessages, .chatEnd: ["GET", "POST"]
        }
    }
}
