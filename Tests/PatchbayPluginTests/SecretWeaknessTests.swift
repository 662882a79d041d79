import Foundation
import PatchbayPlugin
import TestSupport
import Testing

@Suite("Secrets that can be guessed")
struct SecretWeaknessTests {
    @Test(
        "are known by what they are made of",
        arguments: [
            ("12345678901234567890123456789012", "a row"), ("98765432109876543210987654321098", "a row"),
            ("0123456789abcdef0123456789abcdef", "a row"), ("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", "a row"),
            ("qwertyuiopasdfghjklzxcvbnm123456", "a row"), ("1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,", "a row"),
            ("aaaabbbbccccddddeeeeffffgggghhhh", "a row"), ("qwerty-qwerty-qwerty-qwerty-qwerty", "a row"),
            ("password123password123password123password", "a placeholder"),
            ("supersecretjwtkeyfordevelopmentonly!", "a placeholder"),
            ("Development-Secret-Key-1234567890", "a placeholder"),
            ("P@ssw0rd_P@ssw0rd_P@ssw0rd_P@ssw0rd", "a placeholder"),
            ("letmein, letmein, letmein 20270131", "a placeholder"),
            ("this-is-an-example-token-secret-value-00000", "a placeholder"), ("my secret 83746251", "a placeholder"),
            ("the-jwt-key-for-test", "a placeholder"), ("!?!#+*!?!#+*!?-_", "a placeholder"),
            ("trustno1trustno1trustno1trustno1", "one piece"), ("acme-acme-acme-acme-acme-acme-ac", "one piece"),
            ("TrustNo1trustno1TRUSTNO1trust", "one piece"), ("aab", "fewer than four"), ("", "fewer than four"),
        ])
    func weak(secret: String, words: String) {
        let weakness = Secret(secret).weakness
        #expect(weakness?.contains(words) == true, "\(weakness ?? "nothing")")
    }

    @Test(
        "are no others",
        arguments: [
            "correct horse battery", "a passphrase of 1234 words, or fewer", "secret-4f1d8a0b72c39e56",
            "пароль-длинный",
            "jwt-secret-for-acme-corp-2024", "trustno1trustno1", "2b7e151628aed2a6abf7158809cf4f3c",
            "another secret of an end-to-end test, no use elsewhere", "01HV4M2Q8Z7W3X9RJKT5N6P0YB",
        ])
    func strong(secret: String) {
        #expect(Secret(secret).weakness == nil)
    }

    @Test("are no random ones: 10 000 in hexadecimal, 10 000 in base64")
    func random() {
        var dice = Seeded(7)
        var refused: [String] = []
        for size in [12, 16, 32, 48] {
            for _ in 0..<2500 {
                let bytes = dice.bytes(size)
                let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                for text in [digits, Data(bytes).base64EncodedString()] where Secret(text).weakness != nil {
                    refused.append(text)
                }
            }
        }
        #expect(refused == [])
    }
}
