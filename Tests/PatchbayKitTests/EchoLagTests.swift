import PatchbayPlugin
import Testing

@testable import PatchbayKit

@Suite("The lag of an echo")
struct EchoLagTests {
    /// Bursts of uneven length.
    private static func speech(seed: Int) -> [Int16] {
        (0..<40).flatMap { number -> [Int16] in
            let on = 800 + (number * 37 + seed * 11) % 23 * 100
            let off = 600 + (number * 53 + seed * 7) % 19 * 100
            return (0..<on).map { Int16($0 % 40 < 20 ? 6000 : -6000) } + [Int16](repeating: 0, count: off)
        }
    }

    @Test("is found to the millisecond", arguments: [0, 7, 20, 133, 999])
    func found(milliseconds: Int) {
        let said = Self.speech(seed: 1)
        let heard = [Int16](repeating: 3, count: milliseconds * 16) + said.map { $0 / 2 }
        #expect(echoLag(said: said, heard: heard, rate: 16_000) == .milliseconds(milliseconds))
    }

    @Test("another sound, silence and next to nothing have none")
    func absent() {
        let said = Self.speech(seed: 1)
        #expect(echoLag(said: said, heard: Self.speech(seed: 5), rate: 16_000) == nil)
        #expect(echoLag(said: said, heard: [Int16](repeating: 0, count: 64_000), rate: 16_000) == nil)
        #expect(echoLag(said: said, heard: [], rate: 16_000) == nil)
    }
}
