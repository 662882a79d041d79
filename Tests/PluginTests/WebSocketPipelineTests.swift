import Foundation
import PatchbayPlugin
import Synchronization
import TestSupport
import Testing

@testable import PatchbayTesting
@testable import WebSocketPipeline

@Suite("The websocket pipeline")
struct WebSocketPipelineTests {
    private func configured(_ yaml: String) throws -> WebSocketPipeline {
        try WebSocketPipeline.watched(yaml, environment: ["KEY": "k3y-of-the-gateway", "BREAK": "a\nb"])
    }

    @Test(
        "has the rates of its dialect",
        arguments: [
            ("dialect: twilio", 8000, 8000), ("{ dialect: twilio, twilio: { encoding: l16-24000 } }", 24_000, 24_000),
            ("dialect: openai-realtime", 24_000, 24_000), ("dialect: pipecat", 16_000, 24_000),
            ("{ dialect: pcm, pcm: { input_rate: 8000, output_rate: 48000 } }", 8000, 48_000),
        ])
    func rates(yaml: String, input: Int, output: Int) throws {
        let settings = yaml.hasPrefix("{") ? yaml.dropLast() + ", url: ws://a }" : yaml + "\nurl: ws://a"
        #expect(try configured(String(settings)).audio == AudioFormat(inputRate: input, outputRate: output))
    }

    @Test(
        "refuses settings that contradict each other, at the one that is wrong",
        arguments: [
            ("{ dialect: pcm, url: ws://a, twilio: {} }", "twilio"),
            ("{ dialect: pcm, url: ws://a, headers: { host: b } }", "headers"),
            ("{ dialect: pcm, url: ws://a, headers: { Sec-WebSocket-Key: b } }", "headers"),
            ("{ dialect: pcm, url: ws://a, headers: { \"a b\": c } }", "headers"),
            ("{ dialect: pcm, url: ws://a, secret_headers: { a: { env: BREAK } } }", "secret_headers"),
            ("{ dialect: pcm, url: ws://a, headers: { Authorization: \"Bearer ${KEY}\" } }", "headers"),
            (
                "{ dialect: pcm, url: ws://a, secret_headers: { Authorization: { env: KEY } }, token: { env: KEY } }",
                "token"
            ),
            ("{ dialect: pcm, url: ws://a, token: { env: BREAK } }", "token"),
            ("{ dialect: pcm, url: ws://a, pcm: { subprotocol: a b } }", "pcm"),
            ("{ dialect: pcm, url: ws://a, trust_roots: /nowhere }", "trust_roots"),
            ("{ dialect: pcm, url: wss://a, trust_roots: /nowhere }", "trust_roots"),
            ("{ dialect: pcm, url: ws://a, buffer: 1500ms }", "buffer"),
            ("{ dialect: pcm, url: ws://a, announcement: /nowhere.wav }", "announcement"),
            ("{ dialect: openai-realtime, url: ws://a, openai_realtime: { session: [1] } }", "openai_realtime"),
            ("{ dialect: twilio, url: ws://a, twilio: { account_sid: a/b } }", "twilio"),
        ])
    func contradictions(yaml: String, field: String) {
        let fault = #expect(throws: SettingsFault.self) { try configured(yaml) }
        #expect(fault?.field == field, "\(fault?.description ?? "")")
        #expect(fault?.description.contains("k3y") != true)
    }

    @Test(
        "a session may not say what is the gateway's to say, in either shape",
        arguments: [
            ("{ type: transcription }", "talk"), ("{ audio: none }", "`audio` is no object"),
            ("{ audio: { input: [] } }", "audio.input"), ("{ audio: { output: marin } }", "audio.output"),
            ("{ audio: { input: { format: { type: audio/pcmu } } } }", "audio.input.format"),
            ("{ audio: { output: { format: { type: audio/pcm, rate: 16000 } } } }", "audio.output.format"),
            ("{ input_audio_format: g711_ulaw }", "input_audio_format"),
            ("{ modalities: [audio], audio: {} }", "modalities"), ("{ type: realtime }", nil),
            ("{ audio: { input: { format: { type: audio/pcm, rate: 24000 } } } }", nil),
            ("{ modalities: [audio], voice: alloy, output_audio_format: pcm16 }", nil),
            ("{ voice: Ara, turn_detection: { type: server_vad }, audio: { output: {} } }", nil),
        ] as [(String, String?)])
    func sessions(session: String, fault: String?) throws {
        let yaml = "{ dialect: openai-realtime, url: ws://a, openai_realtime: { session: \(session) } }"
        guard let fault else {
            _ = try configured(yaml)
            return
        }
        let found = #expect(throws: SettingsFault.self) { try configured(yaml) }
        #expect(found?.field == "openai_realtime")
        #expect(found?.description.contains(fault) == true, "\(found?.description ?? "")")
    }

    @Test(
        "takes the address of a WebSocket, with places for the call",
        arguments: [
            ("ws://a", true), ("wss://a.example:8443/x?y={workflow_id}", true), ("ws://[::1]:9/", true),
            ("ws://a/{call_id}/{tenant}/{workflow_run_id}", true), ("ws://my_bot?{tenant}", true), ("http://a", false),
            ("ws://", false), ("ws://a/{name}", false), ("ws://a b", false), ("ws://a:99999", false),
            ("ws://u:p@a/", false), ("ws://{tenant}/", false), ("ws://a:{workflow_id}/", false), ("ws://::1/", false),
            ("ws://[::1/", false), ("ws://[::1]9/", false), ("ws://[a]/", false), ("ws://[1.2.3.4]/", false),
            ("ws://a:0/", false), ("ws://a:+80/", false), ("ws://a:/", false), ("ws://:80/", false),
        ])
    func url(text: String, isGood: Bool) {
        #expect((BotURL.decode(text) != nil) == isGood)
        #expect((BotURL.advice(for: text) == nil) == isGood)
    }

    @Test(
        "says what is wrong with an address",
        arguments: [
            (
                "ws://a/{callid}",
                "{callid} is no place; there are {call_id}, {tenant}, {workflow_id} and {workflow_run_id}"
            ),
            ("ws://{tenant}.example.org/", "a place of the call's stands in path or query, not in host or port"),
            ("http://a", "it begins with ws:// or wss://"), ("ws://a:0/", "the port is a number from 1 to 65535"),
            ("ws://::1/", "an IPv6 address stands in brackets, as in [::1]:8080"), ("ws:///x", "it names no host"),
            ("ws://a;b/", "no host has ';' in its name"),
        ])
    func advice(text: String, expected: String) {
        #expect(BotURL.advice(for: text) == expected)
    }

    @Test("shows no password that stands in an address", arguments: ["ws://u:k3y@a/", "ws://u:k3y/x@a/", "u:k3y@a"])
    func password(text: String) {
        let error = #expect(throws: (any Error).self) { try configured("{ dialect: pcm, url: '\(text)' }") }
        let shown = error.map { "\($0)" } ?? ""
        #expect(shown.contains("put the password into `token`") && !shown.contains("k3y"), "\(shown)")
    }

    @Test(
        "shows no header field's value, which may be a secret in the wrong place",
        arguments: [
            "headers: { Authorization: \"Bearer hunter2\" }", "headers: { X-Team: hunter2 }", "headers: hunter2",
            "headers: [hunter2]", "headers: { X-Team: { env: hunter2 } }", "headers: { X-Team: [hunter2] }",
            "haeders: { X-Team: hunter2 }", "hedaer: hunter2",
        ])
    func hiddenHeaders(headers: String) {
        let error = #expect(throws: (any Error).self) {
            try configured("{ dialect: pcm, url: ws://a, buffer: soon, \(headers) }")
        }
        let shown = error.map { "\($0)" } ?? ""
        #expect(shown.contains("found 'soon'") && shown.contains("<hidden>"), "\(shown)")
        #expect(!shown.contains("hunter2"), "\(shown)")
    }

    @Test(
        "takes no header field that is a secret by its name, and says where it goes",
        arguments: [
            ("Authorization", "`token` or `secret_headers`"), ("authorization", "`token` or `secret_headers`"),
            ("Proxy-Authorization", "`secret_headers`"), ("Cookie", "`secret_headers`"),
            ("Set-Cookie", "`secret_headers`"), ("X-Api-Key", "`secret_headers`"), ("api_key", "`secret_headers`"),
            ("apikey", "`secret_headers`"), ("KEY", "`secret_headers`"), ("X-Auth-Token", "`secret_headers`"),
            ("X-Client-Secret", "`secret_headers`"), ("X-Password", "`secret_headers`"),
        ])
    func secretHeaderFields(name: String, settings: String) {
        for value in ["hunter2", "\"Bearer hunter2\"", "\"${NONE:-hunter2}\""] {
            let error = #expect(throws: (any Error).self) {
                try configured("{ dialect: pcm, url: ws://a, headers: { \(name): \(value) } }")
            }
            let shown = error.map { "\($0)" } ?? ""
            #expect(shown.contains("headers.\(name): '\(name)' is a secret, which does not stand here"), "\(shown)")
            #expect(shown.contains("put it into \(settings), as { env: NAME }"), "\(shown)")
            #expect(!shown.contains("hunter2"), "\(shown)")
        }
    }

    @Test(
        "takes any other, and what the environment has",
        arguments: [
            "X-Team: voice 7", "X-Monkey: see", "X-Tokens: 7", "Key-Id: a", "X-Api-Key: \"\"", "X-Api-Key: \"${KEY}\"",
            "Cookie: \"session=${KEY}; theme=dark\"", "X-Auth-Token: \"${KEY:-}\"",
        ])
    func otherHeaderFields(field: String) {
        #expect(throws: Never.self) { try configured("{ dialect: pcm, url: ws://a, headers: { \(field) } }") }
    }

    @Test(
        "takes no address with a secret among its parameters, and shows none",
        arguments: [
            "wss://a/y?token=hunter2", "wss://a/y?v=1&api_key=hunter2", "wss://a?accessToken=hunter2&v=1",
            "wss://a?v=1&key=hunter2", "wss://a/{tenant}?client-secret=hunter2", "wss://a?sig=hunter2#x",
            "wss://a?token=${NONE:-hunter2}", "wss://a?password=hunter2&call={call_id}",
        ])
    func secretParameters(url: String) {
        let error = #expect(throws: (any Error).self) {
            try configured("{ dialect: pcm, url: \"\(url)\", buffer: soon }")
        }
        let shown = error.map { "\($0)" } ?? ""
        #expect(shown.contains("is a secret, which does not stand here") && shown.contains("<hidden>"), "\(shown)")
        #expect(shown.contains("put it into `token` or `secret_headers`") && shown.contains("=${NAME}"), "\(shown)")
        #expect(!shown.contains("hunter2"), "\(shown)")
    }

    @Test(
        "takes one with a secret of the environment's, and with what is none",
        arguments: [
            "ws://a?token=${KEY}", "ws://a?v=1&key=x${KEY}", "ws://a?token={call_id}", "ws://a?token=",
            "ws://a?model=gpt-realtime&monkey=see", "ws://a/token=1",
        ])
    func otherParameters(url: String) {
        #expect(throws: Never.self) { try configured("{ dialect: pcm, url: \"\(url)\" }") }
    }

    @Test("takes no secret of a session's tool, and shows none")
    func secretsOfTools() {
        func settings(_ tool: String) -> String {
            "{ dialect: openai-realtime, url: ws://a, openai_realtime: { session: { tools: [{ type: mcp, \(tool) }] } } }"
        }
        for tool in [
            "authorization: hunter2", "headers: { X-Api-Key: hunter2 }", "server_url: \"https://a?api_key=hunter2\"",
        ] {
            let error = #expect(throws: (any Error).self) { try configured(settings(tool)) }
            let shown = error.map { "\($0)" } ?? ""
            #expect(shown.contains("openai_realtime.session.tools[0]."), "\(shown)")
            #expect(shown.contains("is a secret, which does not stand here") && !shown.contains("hunter2"), "\(shown)")
        }
        for tool in [
            "authorization: \"${KEY}\"", "headers: { X-Api-Key: \"${KEY}\", X-Team: voice }",
            "parameters: { properties: { password: { type: string } }, required: [password] }",
        ] {
            #expect(throws: Never.self) { try configured(settings(tool)) }
        }
    }

    @Test("says in plain words why nobody can be trusted, and what cannot be sent")
    func plainWords() throws {
        let empty = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID().uuidString).pem")
        try Data("no certificate".utf8).write(to: empty)
        defer { try? FileManager.default.removeItem(at: empty) }
        for (settings, expected) in [
            ("trust_roots: /nowhere", "cannot trust /nowhere: No such file or directory"),
            ("trust_roots: \(empty.path)", "cannot trust \(empty.path): there is no certificate in it"),
            (
                "token: { env: BREAK }",
                "the token cannot be sent: there is a line break or another control character in it"
            ),
        ] {
            let fault = #expect(throws: SettingsFault.self) {
                try configured("{ dialect: pcm, url: wss://a, \(settings) }")
            }
            #expect(fault?.description == expected)
        }
    }

    @Test("what a call puts into the address cannot leave its place")
    func places() {
        let url = BotURL(template: "ws://a/{tenant}?id={call_id}")
        #expect(
            url.filled(["tenant": "a/b?{call_id} ü", "call_id": "1&2"])
                == "ws://a/a%2Fb%3F%7Bcall_id%7D%20%C3%BC?id=1%262")
    }

    @Test("hangs up by Twilio's REST API, with the right credentials only")
    func hangUp() async throws {
        let pipeline = try configured(
            "{ dialect: twilio, url: ws://a, twilio: { account_sid: AC1, auth_token: { env: KEY } } }")
        let route = try #require(pipeline.routes.first)
        #expect(route.method == .post && route.path == "/2010-04-01/Accounts/AC1/Calls/{call}")
        let runs = WorkflowRuns(store: try MemoryStore.watched(), tenant: "default")
        func ask(_ call: String, credentials: String = "AC1:k3y-of-the-gateway", body: String = "Status=completed")
            async throws -> Int
        {
            let shown = Leaks.secret("what was shown as Authorization", Data(credentials.utf8).base64EncodedString())
            let headers = ["authorization": "Basic " + shown]
            return try await route.handler(
                RouteRequest(
                    tenant: "default", method: "POST", parameters: ["call": call], headers: headers,
                    body: Array(body.utf8), runs: runs)
            ).status
        }
        #expect(try await ask("CA1.json", credentials: "AC1:other") == 401)
        #expect(try await ask("CA1.json", credentials: "") == 401)
        #expect(try await ask("CA1.json", body: "Status=in-progress") == 400)
        #expect(try await ask("CA1") == 404)
        #expect(try await ask("CA1.json") == 404)
        #expect(try configured("{ dialect: twilio, url: ws://a }").routes.isEmpty)
    }

    @Test("does what every plugin must, with its bot there and away")
    func conforms() async throws {
        try await PluginConformance.check(
            WebSocketPipeline.self, yaml: "{ dialect: pcm, url: ws://127.0.0.1:1 }", logger: .watched)
        let bot = try await LoopbackServer { _ in .opensSocket }
        let url = bot.url.replacing("http:", with: "ws:")
        try await PluginConformance.check(
            WebSocketPipeline.self, yaml: "{ dialect: pcm, url: \"\(url)\" }", logger: .watched)
        try await bot.stop()
    }

    @Test("ends within a second when the caller leaves a bot that listens", arguments: ["twilio", "pcm", "pipecat"])
    func cancellation(dialect: String) async throws {
        let bot = try await LoopbackServer { _ in .opensSocket }
        let url = bot.url.replacing("http:", with: "ws:")
        let pipeline = try configured("{ dialect: \(dialect), url: \"\(url)\", ping_timeout: 60s }")
        let caller = SilentCaller(rate: pipeline.audio.inputRate, logger: .watched)
        let isOver = Mutex(false)
        let running = Task {
            try? await pipeline.run(caller.call, audio: caller.audio)
            isOver.withLock { $0 = true }
            return ContinuousClock.now
        }
        // The first words, and some frames of the caller.
        while bot.heard < 5000, !isOver.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(10)) }
        let wasOver = isOver.withLock { $0 }
        #expect(!wasOver, "before it was cancelled")
        #expect(await PluginConformance.cancel(running) < .seconds(1))
        try await bot.stop()
    }
}
