internal import PatchbayPlugin

/// The keys of a set (RFC 7517 §5) that tokens can be checked with.
struct KeySet {
    /// The longest document that is read, in bytes.
    static let longest = 65_536
    /// More keys are no issuer's.
    static let mostKeys = 32

    var keys: [VerificationKey] = []
    /// The others: their `kid`, and why not.
    var unusable: [(id: String, reason: UnusableKey)] = []

    /// - Parameter algorithms: those that a token may be signed with; nil for any with a public key.
    init(parsing document: [UInt8], algorithms: [JWTAuth.Algorithm]?) throws(KeySetError) {
        guard document.count <= Self.longest else { throw .tooLong(document.count) }
        let json: JSONValue
        do throws(JSONError) {
            json = try JSONValue(parsing: document)
        } catch {
            throw .noJSON(error)
        }
        guard case .array(let written)? = json["keys"] else { throw .noKeys }
        guard written.count <= Self.mostKeys else { throw .tooMany(written.count) }
        for key in written {
            do throws(UnusableKey) {
                keys.append(try VerificationKey(jwk: key, algorithms: algorithms))
            } catch {
                unusable.append((String((key["kid"]?.string ?? "").prefix(Header.longestKeyID)), error))
            }
        }
    }
}

/// Why there is no key set.
enum KeySetError: Error, Equatable, CustomStringConvertible {
    case status(Int)
    case tooLong(Int)
    case noJSON(JSONError)
    case noKeys
    case tooMany(Int)

    var description: String {
        switch self {
        case .status(let status): "it answered \(status)"
        case .tooLong(let count): "its answer has \(count) bytes, and \(KeySet.longest) are read"
        case .noJSON(let error): "its answer is no key set: \(error)"
        case .noKeys: "its answer is no key set: it has no list `keys` (RFC 7517 §5.1)"
        case .tooMany(let count): "its set has \(count) keys, and \(KeySet.mostKeys) are taken"
        }
    }
}
