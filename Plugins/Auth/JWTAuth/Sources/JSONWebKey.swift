internal import PatchbayPlugin

extension VerificationKey {
    /// Reads a key of a set (RFC 7517 §4).
    ///
    /// A key that does not say its algorithm is for that of its curve, or, where it is RSA's, for the first of `algorithms`
    /// that is: one key, one algorithm.
    /// - Parameter algorithms: those that a token may be signed with; nil for any with a public key.
    init(jwk: JSONValue, algorithms: [JWTAuth.Algorithm]?) throws(UnusableKey) {
        guard let members = jwk.object else { throw .malformed }
        if let use = members["use"], use != "sig" { throw .use }
        if let operations = members["key_ops"] {
            guard case .array(let operations) = operations, operations.contains("verify") else { throw .use }
        }
        // Whoever can read the set could sign with it.
        guard ["d", "p", "q", "k"].allSatisfy({ members[$0] == nil }) else { throw .isPrivate }
        let id = members["kid"]?.string
        guard members["kid"] == nil || (1...Header.longestKeyID).contains(id?.utf8.count ?? 0) else { throw .id }

        let (parameters, natural) = try Self.parameters(members, algorithms)
        var algorithm = natural
        if let written = members["alg"] {
            let name = written.string ?? ""
            guard let stated = JWTAuth.Algorithm(rawValue: name), stated.keyKind == natural.keyKind else {
                throw .algorithm(String(name.prefix(32)))
            }
            algorithm = stated
        }
        if let algorithms, !algorithms.contains(algorithm) { throw .excluded(algorithm) }
        do {
            try self.init(parameters, id: id, algorithm: algorithm)
        } catch {
            throw error as? UnusableKey ?? .malformed
        }
    }

    /// What the key is made of, and the algorithm it is for when it does not say.
    private static func parameters(
        _ members: [String: JSONValue], _ algorithms: [JWTAuth.Algorithm]?
    ) throws(UnusableKey) -> (PublicParameters, JWTAuth.Algorithm) {
        func text(_ name: String, bytes: ClosedRange<Int>) throws(UnusableKey) -> String {
            guard let text = members[name]?.string, let decoded = base64URLDecoded(text.utf8),
                bytes.contains(decoded.count)
            else { throw .malformed }
            return text
        }
        let curve = members["crv"]?.string ?? ""
        switch members["kty"]?.string {
        case "RSA":
            let first = (algorithms ?? [.rs256]).first { $0.keyKind == .rsa }
            let (n, e) = (try text("n", bytes: 1...1025), try text("e", bytes: 1...8))
            // One byte more or less: some writers put a zero before it.
            guard n.utf8.count >= 342 else { throw .shortRSA }
            return (.rsa(n: n, e: e), first ?? .rs256)
        case "EC":
            let curves: [String: (JWTAuth.Algorithm, Int)] = [
                "P-256": (.es256, 32), "P-384": (.es384, 48), "P-521": (.es512, 66),
            ]
            guard let (algorithm, size) = curves[curve] else { throw .curve(String(curve.prefix(32))) }
            return (.ec(x: try text("x", bytes: size...size), y: try text("y", bytes: size...size)), algorithm)
        case "OKP":
            guard curve == "Ed25519" else { throw .curve(String(curve.prefix(32))) }
            return (.okp(x: try text("x", bytes: 32...32)), .edDSA)
        default: throw .type(String((members["kty"]?.string ?? "").prefix(32)))
        }
    }
}

/// Why a key is not one to check tokens with. In a set, such keys are passed over (RFC 7517 §5).
enum UnusableKey: Error, Equatable, CustomStringConvertible {
    case malformed
    case type(String)
    case curve(String)
    case algorithm(String)
    case excluded(JWTAuth.Algorithm)
    case use
    case id
    case isPrivate
    case shortRSA
    case smallOrder
    case symmetric

    var description: String {
        switch self {
        case .malformed: "its parameters are no public key (RFC 7518 §6)"
        case .type(let name): "its `kty` is '\(name)', not RSA, EC or OKP"
        case .curve(let name): "its curve is '\(name)', not P-256, P-384, P-521 or Ed25519"
        case .algorithm(let name): "its `alg` is '\(name)', which does not go with it"
        case .excluded(let algorithm): "it is for \(algorithm.rawValue), which is not among `algorithms`"
        case .use: "it is not for checking signatures (`use`, `key_ops`)"
        case .id: "its `kid` is no text of 1 to \(Header.longestKeyID) bytes"
        case .isPrivate: "its private part is in the set, so that everybody can sign with it"
        case .shortRSA: "it is RSA of less than 2048 bits (RFC 7518 §3.3)"
        case .smallOrder: "it is a point of small order, with which anybody can sign"
        case .symmetric: "HS256, HS384 and HS512 take a secret, not a public key"
        }
    }
}
