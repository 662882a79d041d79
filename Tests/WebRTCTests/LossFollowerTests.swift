import Testing

@testable import WebRTC

@Suite("When forward error correction pays")
struct LossFollowerTests {
    /// Whether it is on after each report, in 1/256.
    private func states(_ reports: [UInt8]) -> [Bool] {
        var follower = LossFollower()
        return reports.map { report in
            follower.reported(fraction: report)
            return follower.percentage > 0
        }
    }

    @Test("off at first and without loss")
    func start() {
        #expect(LossFollower().percentage == 0)
        #expect(!states([UInt8](repeating: 0, count: 100)).contains(true))
    }

    @Test(
        "on above 3 % that lasts, never at less",
        arguments: [(2, false), (7, false), (8, true), (13, true), (255, true)])
    func on(fraction: UInt8, isOn: Bool) {
        #expect(states([UInt8](repeating: fraction, count: 100)).last == isOn)
    }

    @Test("off below 1 % that lasts, and only there", arguments: [(0, false), (2, false), (3, true), (7, true)])
    func off(fraction: UInt8, isOn: Bool) {
        let reports = [UInt8](repeating: 26, count: 10) + [UInt8](repeating: fraction, count: 200)
        let states = states(reports)
        #expect(states[9])
        #expect(states.last == isOn)
    }

    @Test("one bad report among good ones does not switch it on", arguments: [3, 10, 19] as [UInt8])
    func oneBad(fraction: UInt8) {
        #expect(!states([0, 0, 0, fraction, 0, 0, 0, 0, 0, 0, 0, 0]).contains(true))
    }

    @Test("one good report among bad ones does not switch it off")
    func oneGood() {
        #expect(!states([26, 26, 26, 0, 26, 26, 0, 0, 26, 26]).dropFirst(3).contains(false))
    }

    @Test("loss around the thresholds switches it once, not at every report")
    func noFlapping() {
        let states = states((0..<400).map { [5, 10, 4, 14, 6, 9][$0 % 6] })
        let switches = zip(states, states.dropFirst()).count { $0 != $1 }
        #expect(switches <= 1)
    }

    @Test(
        "the encoder is told 8 to 15 %, and what was lost in between",
        arguments: [
            (8, 8), (13, 8), (20, 8), (23, 9), (26, 11), (36, 15), (51, 15), (128, 15), (255, 15),
        ] as [(UInt8, Int)])
    func percentage(fraction: UInt8, expected: Int) {
        var follower = LossFollower()
        for _ in 0..<100 { follower.reported(fraction: fraction) }
        #expect(follower.percentage == expected)
    }

    @Test("while it is on it is never told 0, however little was lost")
    func least() {
        var follower = LossFollower()
        for _ in 0..<10 { follower.reported(fraction: 255) }
        var told: [Int] = []
        while follower.percentage > 0, told.count < 100 {
            told.append(follower.percentage)
            follower.reported(fraction: 0)
        }
        #expect(told.allSatisfy { (8...15).contains($0) })
        #expect(told == told.sorted(by: >))
        #expect((5...15).contains(told.count))
    }
}
