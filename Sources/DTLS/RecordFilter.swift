internal import Wire

/// Which records OpenSSL may see.
///
/// While a handshake runs nothing in the clear is authenticated yet, and OpenSSL ends the handshake at an alert, at
/// application data and at any message it does not expect. What cannot belong to this handshake is dropped before it (RFC
/// 6347 §4.1.2.7). Afterwards it drops what is not authentic by itself, but for records that are too short to be: at those
/// 3.0.19 ends the association, and anybody can send one who knows the two addresses.
///
/// ```
///  0      1        3       5                 11       13
/// +------+--------+-------+-----------------+--------+----------
/// | type | version| epoch | sequence number | length | fragment …
/// +------+--------+-------+-----------------+--------+----------
/// ```
struct RecordFilter {
    /// The side whose records these are.
    let sender: Connection.Role
    /// The last fatal alert seen in the clear, dropped but remembered for the diagnosis.
    private(set) var alert: UInt8?

    private static let headerLength = 13
    private static let messageHeaderLength = 12
    /// The explicit nonce and the tag of AES-GCM, which both of our cipher suites are (RFC 5288 §3).
    private static let minimumEncrypted = 8 + 16
    /// OpenSSL keeps a 16 KiB buffer for each record that is ahead of its keys; a real flight has one.
    private static let maximumEncrypted = 2
    private static let maximumMessage: UInt32 = 8192
    private static let maximumMessageSequence: UInt16 = 32

    /// Next record number in the clear. The sender's own is not authenticated, and one forged high number would make
    /// OpenSSL take every later record for a replay; messages have numbers of their own against repetition.
    private var number: UInt32 = 0

    init(sender: Connection.Role) {
        self.sender = sender
    }

    /// The records of `datagram` that may pass after the handshake, joined; empty when none may.
    static func passEstablished(_ datagram: Span<UInt8>) -> [UInt8] {
        var passed: [UInt8] = []
        forEachRecord(in: datagram) { _, epoch, record in
            if epoch == 0 || record.count >= headerLength + minimumEncrypted { passed += record }
        }
        return passed
    }

    private static func forEachRecord(
        in datagram: Span<UInt8>, _ body: (_ type: UInt8, _ epoch: UInt16, _ record: [UInt8]) -> Void
    ) {
        var start = 0
        while let type = datagram.byte(at: start), let version = datagram.uint16(at: start + 1),
            let epoch = datagram.uint16(at: start + 3), let length = datagram.uint16(at: start + 11),
            let record = datagram.bytes(in: start..<start + headerLength + Int(length))
        {
            start += record.count
            if version >> 8 == 0xfe { body(type, epoch, record) }
        }
    }

    /// The records of `datagram` that may pass while a handshake runs, joined; empty when none may.
    mutating func pass(_ datagram: Span<UInt8>) -> [UInt8] {
        var passed: [UInt8] = []
        var encrypted = 0
        Self.forEachRecord(in: datagram) { type, epoch, record in
            var record = record
            if epoch == 0 {
                number &+= 1
                record.set(uint16: 0, at: 5)
                record.set(uint32: number, at: 7)
            }
            switch (type, epoch) {
            case (22, 0) where isPlausible(message: record.span):
                passed += record
            case (20, 0) where record.count == Self.headerLength + 1 && record.last == 1:
                passed += record
            case (21, 0) where record.count == Self.headerLength + 2 && record[Self.headerLength] == 2:
                alert = record[Self.headerLength + 1]
            case (22, 1)
            where encrypted < Self.maximumEncrypted && record.count >= Self.headerLength + Self.minimumEncrypted:
                encrypted += 1
                passed += record
            default:
                break
            }
        }
        return passed
    }

    /// Whether a record holds a fragment of a message that this sender can send (RFC 6347 §4.2.2).
    private func isPlausible(message record: Span<UInt8>) -> Bool {
        let start = Self.headerLength
        guard let type = record.byte(at: start), let length = record.uint24(at: start + 1),
            let sequence = record.uint16(at: start + 4), let fragmentOffset = record.uint24(at: start + 6),
            let fragmentLength = record.uint24(at: start + 9)
        else { return false }
        let expected: Bool =
            switch sender {
            case .client: type == 1 || type == 11 || type == 15 || type == 16
            case .server: (2...4).contains(type) || (11...14).contains(type) || type == 22
            }
        return expected && length <= Self.maximumMessage && sequence <= Self.maximumMessageSequence
            && fragmentOffset + fragmentLength <= length
            && Int(fragmentLength) <= record.count - start - Self.messageHeaderLength
            && (type != 2 || fragmentLength < length || isAnswer(serverHello: record))
    }

    /// Whether a whole ServerHello takes up what we offered (RFC 5246 §7.4.1.3). One that does not would end the handshake,
    /// and a client cannot begin it anew: the server is in the middle of it.
    private func isAnswer(serverHello record: Span<UInt8>) -> Bool {
        let start = Self.headerLength + Self.messageHeaderLength
        guard let version = record.uint16(at: start), let sessionLength = record.byte(at: start + 34),
            let cipher = record.uint16(at: start + 35 + Int(sessionLength))
        else { return false }
        return version == 0xfefd && Certificate.cipherSuites.contains(cipher)
    }
}
