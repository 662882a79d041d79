internal import Wire

/// What a shared port needs to find the call of a STUN message. Nothing is verified: the agent does that.
package struct STUNProbe: Sendable {
    package let `class`: STUNMessage.Class
    /// The receiver's ufrag: USERNAME up to the first ':' (RFC 8445 §7.2.2); nil when absent or longer than 8 bytes.
    package let localUfrag: UfragKey?
    /// First 32 bits of the transaction id; in a response, the tag of the agent that asked.
    package let transactionTag: UInt32

    /// - Returns: nil when `datagram` is no Binding message with a plausible header.
    package init?(_ datagram: Span<UInt8>) {
        guard let header = Header(datagram), header.method == STUNMessage.binding,
            header.length == datagram.count - STUNMessage.headerSize
        else { return nil }
        `class` = header.class
        transactionTag = header.id.tag
        localUfrag = header.class == .request ? Self.findUfrag(datagram) : nil
    }

    private static func findUfrag(_ datagram: Span<UInt8>) -> UfragKey? {
        var offset = STUNMessage.headerSize
        var seen = 0
        while seen < STUNMessage.maximumAttributes, let type = datagram.uint16(at: offset),
            let length = datagram.uint16(at: offset + 2)
        {
            if type == AttributeType.username.rawValue {
                return UfragKey(datagram, at: offset + 4, length: Int(length))
            }
            offset += 4 + (Int(length) + 3) & ~3
            seen += 1
        }
        return nil
    }
}

/// A username fragment of 1 … 8 bytes in one machine word: a dictionary key that needs no text.
package struct UfragKey: Hashable, Sendable {
    private let word: UInt64

    /// - Returns: nil when `ufrag` is empty or longer than 8 bytes of UTF-8.
    package init?(_ ufrag: String) {
        guard (1...8).contains(ufrag.utf8.count) else { return nil }
        word = ufrag.utf8.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Reads up to the first ':' of a USERNAME of `length` bytes.
    init?(_ datagram: Span<UInt8>, at offset: Int, length: Int) {
        var word: UInt64 = 0
        for index in 0..<min(length, 9) {
            guard let byte = datagram.byte(at: offset + index) else { return nil }
            if byte == UInt8(ascii: ":") {
                guard index > 0 else { return nil }
                self.word = word
                return
            }
            word = word << 8 | UInt64(byte)
        }
        return nil
    }
}
