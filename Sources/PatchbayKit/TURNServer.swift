import Foundation
import PatchbayConfig
import PatchbayPlugin
import STUN

/// The TURN server that callers are sent to, and the secret it shares with us.
struct TURNServer: Sendable {
    private let uris: [String]
    private let secret: Secret
    private let lifetime: Duration

    /// The first server of the configuration that has a secret.
    init?(_ servers: [ICEServerSettings]) {
        guard let server = servers.first(where: { $0.secret != nil }), let secret = server.secret else { return nil }
        uris = server.urls.filter(\.isTURN).map(\.text)
        self.secret = secret
        lifetime = server.ttl
    }

    /// Credentials that the server can check without having met their user.
    ///
    /// - Parameter lifetime: how long they are good at the most.
    func credentials(for id: String, lifetime: Duration?, now: Duration) throws -> TURNCredentials {
        let seconds = max(1, Int(min(lifetime ?? self.lifetime, self.lifetime).components.seconds))
        let username = "\(Int(now.components.seconds) + seconds):\(try name(of: id))"
        return TURNCredentials(
            username: username, password: Data(try sign(username)).base64EncodedString(), timeToLive: seconds,
            uris: uris)
    }

    /// What the server may log of an id, and has limits by, so that two never have one name.
    private func name(of id: String) throws -> String {
        let shown = id.unicodeScalars.filter { $0.isASCII && $0.properties.generalCategory != .control }
        let name = String(String.UnicodeScalarView(shown))
        if name.unicodeScalars.elementsEqual(id.unicodeScalars), name.utf8.count <= 128 { return name }
        let digest = try sign("name of " + id).prefix(8).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
        return "\(name.prefix(96))~\(digest)"
    }

    private func sign(_ text: String) throws -> [UInt8] {
        let key = secret.withValue { Array($0.utf8) }
        guard let digest = hmacSHA1(key: key, Array(text.utf8)) else { throw TURNServerError.noDigest }
        return digest
    }
}

enum TURNServerError: Error, CustomStringConvertible {
    case noDigest

    var description: String { "OpenSSL made no HMAC-SHA1" }
}
