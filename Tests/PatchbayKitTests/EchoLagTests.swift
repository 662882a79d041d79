import Testing

@testable import PatchbayKit

@Suite("The lag of an echo")
struct EchoLagTests {
    /// Bursts of uneven length, at 16 kHz.
    private static func speech(seed: Int) -> [Int16] {
        (0..<40).flatMap { number -> [Int16] in
            let on = 800 + (number * 37 + seed * 11) % 23 * 100
            let off = 600 + (number * 53 + seed * 7) % 19 * 100
            return (0..<on).map { Int16($0 % 40 < 20 ? 6000 : -6000) } + [Int16](repeating: 0, count: off)
        }
    }

    private static func lag(said: [Int16], heard: [Int16]) -> Int? {
        echoLag(said: loudness(of: said, rate: 16_000), heard: loudness(of: heard, rate: 16_000))
    }

    @Test("is found to the millisecond", arguments: [0, 7, 20, 133, 999])
    func found(milliseconds: Int) {
        let said = Self.speech(seed: 1)
        let heard = [Int16](repeating: 3, count: milliseconds * 16) + said.map { $0 / 2 }
        #expect(Self.lag(said: said, heard: heard) == milliseconds)
    }

    @Test("another sound, silence and next to nothing have none")
    func absent() {
        let said = Self.speech(seed: 1)
        #expect(Self.lag(said: said, heard: Self.speech(seed: 5)) == nil)
        #expect(Self.lag(said: said, heard: [Int16](repeating: 0, count: 64_000)) == nil)
        #expect(Self.lag(said: said, heard: []) == nil)
    }

    @Test("the loudest there is and every rate have their loudness", arguments: [8, 16, 24, 48])
    func loudest(perMillisecond: Int) {
        let samples = [Int16](repeating: .min, count: perMillisecond * 2 + 1)
        #expect(loudness(of: samples, rate: perMillisecond * 1000) == [32_768, 32_768])
    }

    /// What comes back of speech that is said over and over, `lag(frame)` later, 20 ms at a time.
    private static func hearing(frames: Int, lag: (Int) -> Int, jitter: (Int) -> Int = { _ in 0 }) -> Hearing {
        let said = speech(seed: 1)
        var hearing = Hearing(rate: 16_000)
        for frame in 0..<frames {
            let position = frame * 20 - lag(frame)
            let samples = (0..<320).map { index -> Int16 in
                let sample = position * 16 + index
                return sample < 0 ? 0 : said[sample % said.count]
            }
            hearing.hear(samples, at: .milliseconds(frame * 20 + jitter(frame)))
        }
        return hearing
    }

    @Test(
        "at the end of a call is told apart from the one at its beginning",
        arguments: [(30, 30), (47, 95), (120, 61)])
    func bothEnds(beginning: Int, end: Int) {
        // 80 s, of which the lag changes in the middle.
        let hearing = Self.hearing(frames: 4000) { $0 < 2000 ? beginning : end }
        let latencies = hearing.latencies(of: Self.speech(seed: 1))
        #expect(latencies.beginning == .milliseconds(beginning))
        #expect(latencies.end == .milliseconds(end))
    }

    @Test("is the mean where frames come unevenly, and the same at both ends of a short call")
    func uneven() {
        let hearing = Self.hearing(frames: 300, lag: { _ in 40 }, jitter: { $0 % 3 * 10 })
        let latencies = hearing.latencies(of: Self.speech(seed: 1))
        #expect(latencies.beginning == .milliseconds(50) && latencies.end == latencies.beginning)
    }

    @Test("is absent where the answer is another's, and where nothing was heard")
    func nothing() {
        let latencies = Self.hearing(frames: 1000) { _ in 40 }.latencies(of: Self.speech(seed: 5))
        #expect(latencies.beginning == nil && latencies.end == nil)
        let deaf = Hearing(rate: 16_000).latencies(of: Self.speech(seed: 1))
        #expect(deaf.beginning == nil && deaf.end == nil)
    }
}
