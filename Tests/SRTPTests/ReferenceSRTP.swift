import COpenSSL
import SRTP
import Wire

/// SRTP written from RFC 3711 and RFC 7714 alone, slow and straight, to hold the library against.
struct ReferenceSRTP {
    let profile: SRTPProfile
    let rtp: SessionKeys
    let rtcp: SessionKeys

    struct SessionKeys {
        var key: [UInt8]
        var salt: [UInt8]
        var authentication: [UInt8] = []
    }

    init(_ profile: SRTPProfile, keyAndSalt: [UInt8]) {
        let (key, salt) = (Array(keyAndSalt.prefix(16)), Array(keyAndSalt.dropFirst(16)))
        func keys(from label: UInt8) -> SessionKeys {
            SessionKeys(
                key: Self.derive(key, salt, label: label, count: 16),
                salt: Self.derive(key, salt, label: label + 2, count: salt.count),
                authentication: Self.derive(key, salt, label: label + 1, count: 20))
        }
        self.profile = profile
        rtp = keys(from: 0)
        rtcp = keys(from: 3)
    }

    /// RFC 3711 §4.3.1 with a key derivation rate of 0; a salt of 12 bytes is filled up with zeros (RFC 7714 §11).
    static func derive(_ key: [UInt8], _ salt: [UInt8], label: UInt8, count: Int) -> [UInt8] {
        var x = salt + [UInt8](repeating: 0, count: 16 - salt.count)
        x[7] ^= label
        return keystream(key, x, count: count)
    }

    /// AES in counter mode from the 16 bytes `iv` (RFC 3711 §4.1.1).
    static func keystream(_ key: [UInt8], _ iv: [UInt8], count: Int) -> [UInt8] {
        var stream: [UInt8] = []
        var counter = iv
        while stream.count < count {
            stream += block(key, counter)
            for index in (0..<16).reversed() {
                counter[index] &+= 1
                if counter[index] != 0 { break }
            }
        }
        return Array(stream.prefix(count))
    }

    func protect(_ packet: [UInt8], header: Int, rollover: UInt32) -> [UInt8] {
        let (ssrc, sequence) = (Array(packet[8..<12]), Array(packet[2..<4]))
        var counter: [UInt8] = []
        counter.append(uint32: rollover)
        let (plain, body) = (Array(packet[..<header]), Array(packet[header...]))
        switch profile {
        case .aes128CMHMACSHA1Length80:
            let iv = xor([0, 0, 0, 0] + ssrc + counter + sequence + [0, 0], rtp.salt + [0, 0])
            let sealed = plain + xor(body, Self.keystream(rtp.key, iv, count: body.count))
            return sealed + hmac(rtp.authentication, sealed + counter).prefix(10)
        case .aeadAES128GCM:
            let iv = xor([0, 0] + ssrc + counter + sequence, rtp.salt)
            return plain + Self.gcm(rtp.key, iv, additional: plain, body)
        }
    }

    func protectRTCP(_ packet: [UInt8], index: UInt32) -> [UInt8] {
        let ssrc = Array(packet[4..<8])
        var (plainIndex, flagged): ([UInt8], [UInt8]) = ([], [])
        plainIndex.append(uint32: index)
        flagged.append(uint32: index | 1 << 31)
        let (plain, body) = (Array(packet[..<8]), Array(packet[8...]))
        switch profile {
        case .aes128CMHMACSHA1Length80:
            let iv = xor([0, 0, 0, 0] + ssrc + [0, 0] + plainIndex + [0, 0], rtcp.salt + [0, 0])
            let sealed = plain + xor(body, Self.keystream(rtcp.key, iv, count: body.count)) + flagged
            return sealed + hmac(rtcp.authentication, sealed).prefix(10)
        case .aeadAES128GCM:
            let iv = xor([0, 0] + ssrc + [0, 0] + plainIndex, rtcp.salt)
            return plain + Self.gcm(rtcp.key, iv, additional: plain + flagged, body) + flagged
        }
    }

    private func xor(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] { zip(left, right).map { $0 ^ $1 } }

    private func hmac(_ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 20)
        unsafe HMAC(EVP_sha1(), key, Int32(key.count), message, message.count, &digest, nil)
        return digest
    }

    private static func block(_ key: [UInt8], _ input: [UInt8]) -> [UInt8] {
        let context = unsafe EVP_CIPHER_CTX_new()
        defer { unsafe EVP_CIPHER_CTX_free(context) }
        var output = [UInt8](repeating: 0, count: 32)
        var count: Int32 = 0
        unsafe EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), nil, key, nil)
        unsafe EVP_EncryptUpdate(context, &output, &count, input, 16)
        return Array(output.prefix(16))
    }

    /// Ciphertext, then the tag of 16 bytes.
    static func gcm(_ key: [UInt8], _ iv: [UInt8], additional: [UInt8], _ plaintext: [UInt8]) -> [UInt8] {
        let context = unsafe EVP_CIPHER_CTX_new()
        defer { unsafe EVP_CIPHER_CTX_free(context) }
        var output = [UInt8](repeating: 0, count: plaintext.count + 16)
        var tag = [UInt8](repeating: 0, count: 16)
        var count: Int32 = 0
        unsafe EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nil, key, iv)
        unsafe EVP_EncryptUpdate(context, nil, &count, additional, Int32(additional.count))
        unsafe EVP_EncryptUpdate(context, &output, &count, plaintext, Int32(plaintext.count))
        unsafe EVP_EncryptFinal_ex(context, &output, &count)
        unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, &tag)
        return output.prefix(plaintext.count) + tag
    }
}
