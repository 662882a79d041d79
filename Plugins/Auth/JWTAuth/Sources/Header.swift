internal import FoundationEssentials

/// What of a token's header (RFC 7515 §4) decides whether its signature is looked at.
struct Header: Decodable {
    /// `alg`
    let algorithm: String
    /// Whether there is a `crit`: it lists extensions that one must understand, and we understand none.
    let isCritical: Bool

    private enum CodingKeys: CodingKey {
        case alg, crit
    }

    init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        algorithm = try members.decode(String.self, forKey: .alg)
        isCritical = members.contains(.crit)
    }

    /// Reads the first part of a token, which is base64url; nil when it is not such a header.
    init?(of token: String) {
        var text = token.utf8.prefix { $0 != UInt8(ascii: ".") }.map { byte in
            switch byte {
            case UInt8(ascii: "-"): UInt8(ascii: "+")
            case UInt8(ascii: "_"): UInt8(ascii: "/")
            default: byte
            }
        }
        while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
        guard let json = Data(base64Encoded: Data(text)),
            let header = try? JSONDecoder().decode(Header.self, from: json)
        else { return nil }
        self = header
    }
}
