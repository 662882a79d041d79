import Testing

@testable import WebRTC

@Suite("Which frames are silent")
struct NoiseFloorTests {
    /// Mean square at so many dB below full scale.
    private func power(_ decibels: Double) -> Double {
        var power = 32_768.0 * 32_768.0
        for _ in 0..<Int(decibels) { power *= 0.794328 }
        return power
    }

    /// How many of `count` frames at so many dB below full scale are silent.
    private func silentFrames(_ floor: inout NoiseFloor, of count: Int, at decibels: Double) -> Int {
        var silent = 0
        for _ in 0..<count where floor.isSilent(power(decibels)) { silent += 1 }
        return silent
    }

    @Test("below -60 dBFS always, above -35 dBFS never")
    func limits() {
        var floor = NoiseFloor()
        #expect(silentFrames(&floor, of: 500, at: 62) == 500)
        #expect(silentFrames(&floor, of: 500, at: 30) == 0)
    }

    @Test("a noisy room is silent after a second and a half, and a voice in it is not")
    func noisyRoom() {
        var floor = NoiseFloor()
        for _ in 0..<75 { _ = floor.isSilent(power(48)) }
        #expect(silentFrames(&floor, of: 1, at: 48) == 1)
        #expect(silentFrames(&floor, of: 1, at: 46) == 1)
        #expect(silentFrames(&floor, of: 1, at: 30) == 0)
    }

    @Test("a long sentence does not become background: its gaps keep the floor down")
    func longSentence() {
        var floor = NoiseFloor()
        var voiced = 0
        for frame in 0..<1000 where !floor.isSilent(power(frame % 25 == 0 ? 55 : 38)) { voiced += 1 }
        #expect(voiced >= 950)
    }

    @Test("digital silence does not make a quiet room loud")
    func digitalSilence() {
        var floor = NoiseFloor()
        for _ in 0..<150 { _ = floor.isSilent(power(48)) }
        var silent = 0
        for _ in 0..<500 where floor.isSilent(0) { silent += 1 }
        #expect(silent == 500)
        #expect(silentFrames(&floor, of: 1, at: 47) == 1)
    }
}
