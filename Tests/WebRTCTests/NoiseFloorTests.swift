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

    @Test("below -60 dBFS always, above -35 dBFS never")
    func limits() {
        var floor = NoiseFloor()
        for _ in 0..<500 { #expect(floor.isSilent(power(62))) }
        for _ in 0..<500 { #expect(!floor.isSilent(power(30))) }
    }

    @Test("a noisy room is silent after a second and a half, and a voice in it is not")
    func noisyRoom() {
        var floor = NoiseFloor()
        for _ in 0..<75 { _ = floor.isSilent(power(48)) }
        #expect(floor.isSilent(power(48)))
        #expect(floor.isSilent(power(46)))
        #expect(!floor.isSilent(power(30)))
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
        for _ in 0..<500 { #expect(floor.isSilent(0)) }
        #expect(floor.isSilent(power(47)))
    }
}
