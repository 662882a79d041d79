import Logging
import PatchbayPlugin
import Signaling

extension CallSupervisor.Environment {
    /// The longest text of a stranger's in a line, in characters of Unicode.
    private static let longestField = 256

    /// Counts a refusal, and writes a line about it while the network that it came from has lines left.
    ///
    /// - Parameters:
    ///   - what: what was refused.
    ///   - known: what else the line has, where it is known.
    func refuse(_ what: String, _ denial: Denial, network: String, _ known: [String: String?]) {
        registry.count(denial, tenant: known["tenant"] ?? nil)
        guard let leftOut = refusals.admit(network, now: now()) else { return }
        if leftOut > 0 {
            logger.notice("refusals without a line of their own", metadata: ["count": "\(leftOut)"])
        }
        let said = [
            "code": denial.code, "reason": denial.message, "detail": denial.detail, "quota": denial.quota,
            "auth": denial.authInstance,
        ]
        // The instance that denies says more than the one that let the caller in.
        let fields = known.merging(said) { known, said in said ?? known }
        logger.info(
            "\(what) refused",
            metadata: fields.compactMapValues { text in
                guard let text, !text.isEmpty else { return nil }
                return "\(String(text.unicodeScalars.prefix(Self.longestField)))"
            })
    }
}

extension Request {
    /// Scheme, host and port of the page that it comes from: nothing of what else a referrer has.
    var page: String? {
        guard let text = headers["origin"] ?? headers["referer"] else { return nil }
        let bytes = Array(text.utf8)
        let start = bytes.firstRange(of: "://".utf8)?.upperBound ?? 0
        let end = bytes[start...].firstIndex { "/?#".utf8.contains($0) } ?? bytes.endIndex
        let host = bytes[start..<end].lastIndex(of: UInt8(ascii: "@")).map { $0 + 1 } ?? start
        return String(decoding: bytes[..<start] + bytes[host..<end], as: UTF8.self)
    }
}

extension Denial {
    static let noTenant = Denial(code: "no_tenant", message: "no tenant matches host and path")
    static let noSocket = Denial(code: "no_socket", message: "the path is not that of a signaling socket")
    static let noCredential = Denial(code: "no_credential", message: "No auth instance knows the credential")
    static let tooManySockets = Denial(code: "too_many_sockets", message: "Too many sockets without a call")
    static let tenantIsFull = Denial(code: "too_many_tenant_sockets", message: "Too many sockets")
    static let inUse = Denial(
        code: "session_in_use", message: "The credential opens one socket at a time, and that is open")
}
