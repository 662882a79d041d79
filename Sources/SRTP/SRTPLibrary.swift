internal import CSRTP

/// The process's one libsrtp.
package enum SRTPLibrary {
    /// Initializes libsrtp and checks it against known packets, once; later calls repeat the outcome.
    ///
    /// Distributions have shipped libsrtp without AES-GCM, and versions that failed in it.
    package static func start() throws(SRTPError) {
        if let failure { throw failure }
    }

    private static let failure: SRTPError? = {
        let status = srtp_init()
        guard status == srtp_err_status_ok else { return .library(code: status.rawValue) }
        return [SRTPProfile.aeadAES128GCM, .aes128CMHMACSHA1Length80].first { !passes($0) }.map { .selfTest($0) }
    }()

    /// Up to libsrtp 2.5 a stream to remove is named in network order, later in the host's. Tried out, for a wrong guess
    /// would remove another.
    static let removesByNetworkOrder: Bool = {
        let profile = SRTPProfile.aes128CMHMACSHA1Length80
        do throws(SRTPError) {
            let session = try SRTPSession(
                unchecked: profile, keyAndSalt: knownAnswer(profile).keyAndSalt, direction: .inbound)
            try session.addStream(1)
            return unsafe srtp_remove_stream(session.context, 1) != srtp_err_status_ok
        } catch {
            return false
        }
    }()

    /// Protects and unprotects a packet whose ciphertext is known.
    private static func passes(_ profile: SRTPProfile) -> Bool {
        let answer = knownAnswer(profile)
        let count = plaintext.count
        var packet = plaintext + [UInt8](repeating: 0, count: SRTPSession.tailRoom)
        do throws(SRTPError) {
            var outbound = try SRTPSession(unchecked: profile, keyAndSalt: answer.keyAndSalt, direction: .outbound)
            var inbound = try SRTPSession(unchecked: profile, keyAndSalt: answer.keyAndSalt, direction: .inbound)
            var bytes = packet.mutableSpan
            guard try outbound.protect(&bytes, count: count) == answer.packet.count else { return false }
            guard Array(packet.prefix(answer.packet.count)) == answer.packet else { return false }
            bytes = packet.mutableSpan
            guard try inbound.unprotect(&bytes, count: answer.packet.count) == count else { return false }
            return Array(packet.prefix(count)) == plaintext
        } catch {
            return false
        }
    }

    /// RTP: payload type 15, sequence number 0x1234, SSRC 0xcafebabe, 16 bytes of 0xab.
    private static let plaintext: [UInt8] =
        [0x80, 0x0f, 0x12, 0x34, 0xde, 0xca, 0xfb, 0xad, 0xca, 0xfe, 0xba, 0xbe] + [UInt8](repeating: 0xab, count: 16)

    private static func knownAnswer(_ profile: SRTPProfile) -> (keyAndSalt: [UInt8], packet: [UInt8]) {
        switch profile {
        case .aes128CMHMACSHA1Length80:
            (
                [
                    0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde, 0x41, 0x39,
                    0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6,
                ],
                plaintext.prefix(12) + [
                    0x4e, 0x55, 0xdc, 0x4c, 0xe7, 0x99, 0x78, 0xd8, 0x8c, 0xa4, 0xd2, 0x15, 0x94, 0x9d, 0x24, 0x02,
                    0xb7, 0x8d, 0x6a, 0xcc, 0x99, 0xea, 0x17, 0x9b, 0x8d, 0xbb,
                ]
            )
        case .aeadAES128GCM:
            (
                Array(0x00...0x0f) + Array(0xa0...0xab),
                plaintext.prefix(12) + [
                    0xc5, 0x00, 0x2e, 0xde, 0x04, 0xcf, 0xdd, 0x2e, 0xb9, 0x11, 0x59, 0xe0, 0x88, 0x0a, 0xa0, 0x6e,
                    0xd2, 0x97, 0x68, 0x26, 0xf7, 0x96, 0xb2, 0x01, 0xdf, 0x31, 0x31, 0xa1, 0x27, 0xe8, 0xa3, 0x92,
                ]
            )
        }
    }
}
