import Media
import PatchbayConfig
import PatchbayPlugin
import Signaling
import TURN
import WebSocket
import Wire

/// The STUN and TURN servers that the calls of one run ask, as a browser asks those that its page knows.
actor CallerServers {
    /// Where the gateway hands out credentials of its TURN server.
    struct Credentials: Sendable {
        var url: String
        var headers: [String: String]
    }

    private let engine: MediaEngine
    private let stun: [ICEServerURL]
    private let usesTURN: Bool
    private var asking: Task<Void, Never>?

    init(engine: MediaEngine, stun: [ICEServerURL], usesTURN: Bool) {
        self.engine = engine
        self.stun = stun
        self.usesTURN = usesTURN
    }

    /// Has the engine ask them. The first call's credentials are good for all: they share its relays.
    func ask(_ credentials: Credentials?) async {
        let asking = asking ?? Task { await begin(credentials) }
        self.asking = asking
        await asking.value
    }

    private func begin(_ credentials: Credentials?) async {
        var relays: [RelayServer] = []
        var urls = stun
        if let reply = await reply(to: credentials), let trust = TLSTrust(),
            let username = reply["username"]?.string, let password = reply["password"]?.string,
            case .array(let uris)? = reply["uris"]
        {
            for case .string(let uri) in uris {
                guard let url = ICEServerURL.decode(uri), url.isTURN, let transport = RelayServer.Transport(url, trust)
                else { continue }
                relays += await url.relays(over: transport, username: username, password: password)
                urls.append(url)
            }
        }
        // A TURN server that is reached by UDP is a STUN server too.
        var addresses: [SocketAddress] = []
        for url in urls where url.transport == .udp {
            addresses += await url.endpoint.addresses().filter { !addresses.contains($0) }
        }
        if !addresses.isEmpty { engine.gather(from: addresses) { _ in } }
        if !relays.isEmpty { engine.relay(through: relays) { _ in } }
    }

    /// Nil where the gateway has no TURN server, or it is not to be used.
    private func reply(to credentials: Credentials?) async -> JSONValue? {
        guard usesTURN, let credentials,
            let (status, body) = try? await HTTPClient.get(url: credentials.url, headers: credentials.headers)
        else { return nil }
        guard status == 200 else {
            let reason = body.oneLine(atMost: 512)
            if status != 503 { complain("warning: no TURN credentials: HTTP \(status) \(reason)") }
            return nil
        }
        return try? JSONValue(parsing: body)
    }
}
