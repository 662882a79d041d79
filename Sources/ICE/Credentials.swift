package import Wire

/// A username fragment and a password (RFC 8445 §5.3).
package struct Credentials: Sendable, Equatable {
    /// 4 … 256 ice-chars.
    package var ufrag: String
    /// 22 … 256 ice-chars.
    package var password: String

    package init(ufrag: String, password: String) {
        self.ufrag = ufrag
        self.password = password
    }

    /// A ufrag of 8 characters (48 bits, and short enough for one machine word) and a password of 24 (144 bits).
    package static func random(_ source: inout RandomSource) -> Credentials {
        Credentials(ufrag: source.iceCharacters(8), password: source.iceCharacters(24))
    }

    var key: [UInt8] { Array(password.utf8) }
}
