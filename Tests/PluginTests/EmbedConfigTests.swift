import PatchbayPlugin
import PatchbayTesting
import Testing

@Suite("Embed config")
struct EmbedConfigTests {
    private static let texts = [
        "endChatText", "conversationEndedText", "startNewChatText", "chatRetryText", "chatInputPlaceholder",
        "sendMessageLabel", "closeChatLabel", "voiceConnectingText", "voiceEndCallText", "voiceRetryText",
        "voiceReadyTitle", "voiceConnectingSubtext", "voiceConnectedTitle", "voiceConnectedSubtext",
        "voiceCallEndedTitle", "voiceCallEndedSubtext", "voiceConnectionFailedTitle",
        "voiceConnectionFailedSubtext", "voiceConnectionLostTitle", "voiceConnectionLostSubtext",
    ]

    @Test("says how the widget looks where the token does not", arguments: ["GET", "HEAD"])
    func standard(method: String) async throws {
        let page = try EmbedFixture(tokens: "[{ token: emb_a, workflow: 7 }]")
        let response = try await page.send(method, "config/emb_a")
        #expect(response.status == 200)
        #expect(response.headers["access-control-allow-origin"] == EmbedFixture.page)
        var json = try #require(try response.json.object)
        let texts = try #require(json.removeValue(forKey: "texts")?.object)
        #expect(
            json == [
                "workflow_id": 7, "settings": [:], "theme": "light", "position": "bottom-right",
                "button_text": "Start Voice Call", "button_color": "#3B82F6", "size": "medium", "auto_start": false,
                "turn_enabled": false, "force_turn_relay": false,
            ])
        #expect(texts.keys.sorted() == Self.texts.sorted())
        #expect(texts["endChatText"] == "End chat" && texts["voiceRetryText"] == "Retry")
        #expect(texts.values.allSatisfy { $0.string?.isEmpty == false })
    }

    @Test("takes the token's settings where they are text, and texts where they are not blank")
    func settings() async throws {
        let settings = """
            { theme: dark, position: top-left, buttonText: Call us, buttonColor: "#000", size: large, autoStart: true,
              voiceRetryText: Again, endChatText: "  ", voiceEndCallText: 7, colour: red }
            """
        let page = try EmbedFixture(tokens: "[{ token: emb_a, workflow: 7, settings: \(settings) }]")
        let json = try await page.send("GET", "config/emb_a").json
        for (name, value) in [
            ("theme", "dark"), ("position", "top-left"), ("button_text", "Call us"), ("button_color", "#000"),
            ("size", "large"), ("auto_start", true),
        ] as [(String, JSONValue)] {
            #expect(json[name] == value)
        }
        #expect(json["settings"]?["colour"] == "red" && json["settings"]?.object?.count == 10)
        #expect(json["texts"]?["voiceRetryText"] == "Again")
        #expect(json["texts"]?["endChatText"] == "End chat")
        #expect(json["texts"]?["voiceEndCallText"]?.string != nil)
        #expect(json["texts"]?.object?.count == 20)
    }

    @Test("says what the tenant has for TURN", arguments: [(true, false), (false, true), (true, true)])
    func turn(isAvailable: Bool, isForced: Bool) async throws {
        let page = try EmbedFixture()
        let turn =
            isAvailable
            ? TURNAccess(isForced: isForced) { _, _ in throw Unreachable() } : TURNAccess(isForced: isForced)
        let json = try await page.send("GET", "config/emb_demo", turn: turn).json
        #expect(json["turn_enabled"] == .bool(isAvailable))
        #expect(json["force_turn_relay"] == .bool(isForced))
    }

    @Test(
        "is refused row by row; an expired token still says how it looks",
        arguments: [
            ("emb_nobody", EmbedFixture.page, 404, "Invalid embed token"),
            ("emb%20demo", EmbedFixture.page, 404, "Invalid embed token"),
            (String(repeating: "x", count: 9_000), EmbedFixture.page, 404, "Invalid embed token"),
            ("emb_off", "https://evil.example", 403, "Embed token is inactive"),
            ("emb_off", EmbedFixture.page, 403, "Embed token is inactive"),
            ("emb_demo", "https://evil.example", 403, "Domain not allowed: https://evil.example"),
            ("emb_demo", nil, 403, "Domain not allowed: "),
            ("emb_old", EmbedFixture.page, 200, nil),
        ] as [(String, String?, Int, String?)])
    func rows(token: String, origin: String?, status: Int, detail: String?) async throws {
        let page = try EmbedFixture()
        page.clock.advance(by: .seconds(86_400))
        let response = try await page.send("GET", "config/\(token)", headers: origin.map { ["origin": $0] } ?? [:])
        #expect(response.status == status)
        #expect(try response.json["detail"]?.string == detail)
        #expect(response.headers["access-control-allow-origin"] == origin)
        #expect(try await page.isUntouched("emb_demo", "emb_old"))
    }
}
