internal import PatchbayPlugin

extension EmbedTokenAuth {
    /// `GET config/{token}`: how the page's widget looks and what it says.
    func config(_ token: String, _ request: RouteRequest) async throws -> RouteResponse {
        guard let token = try await self.token(token) else { throw Refusal.invalidToken }
        guard token.active else { throw Refusal.inactive }
        try token.check(request.origin)
        let settings = token.settings
        func text(_ name: String, _ standard: String) -> JSONValue {
            .string(settings[name]?.string ?? standard)
        }
        return RouteResponse(
            status: 200,
            json: [
                "workflow_id": .integer(token.workflow),
                "settings": .object(settings),
                "texts": .object(texts(settings)),
                "theme": text("theme", "light"),
                "position": text("position", "bottom-right"),
                "button_text": text("buttonText", "Start Voice Call"),
                "button_color": text("buttonColor", "#3B82F6"),
                "size": text("size", "medium"),
                "auto_start": .bool(settings["autoStart"] == true),
                "turn_enabled": .bool(request.turn.isAvailable),
                "force_turn_relay": .bool(request.turn.isForced),
            ])
    }

    /// The widget's texts, those in the token's settings first, unless they are blank.
    private func texts(_ settings: [String: JSONValue]) -> [String: JSONValue] {
        standardTexts.merging(settings) { standard, own in
            own.string?.contains { !$0.isWhitespace } == true ? own : standard
        }.filter { standardTexts[$0.key] != nil }
    }
}

private let standardTexts: [String: JSONValue] = [
    "endChatText": "End chat",
    "conversationEndedText": "This conversation is over.",
    "startNewChatText": "Start another chat",
    "chatRetryText": "Try again",
    "chatInputPlaceholder": "Write a message…",
    "sendMessageLabel": "Send message",
    "closeChatLabel": "Close chat",
    "voiceConnectingText": "Connecting…",
    "voiceEndCallText": "End call",
    "voiceRetryText": "Retry",
    "voiceReadyTitle": "Ready when you are",
    "voiceConnectingSubtext": "This takes a moment.",
    "voiceConnectedTitle": "You are connected",
    "voiceConnectedSubtext": "Go ahead and speak.",
    "voiceCallEndedTitle": "Call ended",
    "voiceCallEndedSubtext": "Thank you for calling.",
    "voiceConnectionFailedTitle": "No connection",
    "voiceConnectionFailedSubtext": "Check your network, then try again.",
    "voiceConnectionLostTitle": "Connection lost",
    "voiceConnectionLostSubtext": "Check your network, then call again.",
]
