/// Where a protocol machine gets its randomness from: the system's generator in the gateway, a seeded one in a test.
///
/// ICE passwords, transaction ids and tie-breakers come from here, so a gateway hands in a cryptographically secure source.
package struct RandomSource: RandomNumberGenerator, Sendable {
    private let draw: @Sendable () -> UInt64

    /// - Parameter draw: returns 64 uniformly random bits at each call.
    package init(_ draw: @escaping @Sendable () -> UInt64) {
        self.draw = draw
    }

    package func next() -> UInt64 {
        draw()
    }

    /// `count` uniformly random bytes.
    package func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            let word = draw()
            for shift in 0..<8 where bytes.count < count {
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift * 8)))
            }
        }
        return bytes
    }

    /// `count` characters, each one of 64 (6 bits of randomness a character), from the `ice-char` alphabet of RFC 8839 §5.4.
    package func iceCharacters(_ count: Int) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        return String(decoding: bytes(count).map { alphabet[Int($0 & 63)] }, as: UTF8.self)
    }
}
