import Audio
import Testing
import Wire

@Suite("Resampling")
struct ResamplerTests {
    static let rates = [8000, 16_000, 24_000, 48_000]

    @Test("20 ms give exactly 20 ms in every call, from the first on", arguments: rates, rates)
    func exact(input: Int, output: Int) throws {
        var resampler = try Resampler(from: input, to: output)
        let samples = Signal.tone(440, rate: input, count: input / 50)
        var scratch = [Int16](repeating: 0, count: output / 50)
        for _ in 0..<500 {
            var span = scratch.mutableSpan
            #expect(try resampler.process(samples.span, into: &span) == output / 50)
        }
    }

    @Test("A tone keeps its shape, late by `delay`", arguments: rates, rates)
    func tone(input: Int, output: Int) throws {
        var resampler = try Resampler(from: input, to: output)
        let sent = Signal.tone(1000, rate: input, count: input / 5)
        var heard: [Int16] = []
        var scratch = [Int16](repeating: 0, count: output / 50)
        for start in stride(from: 0, to: sent.count, by: input / 50) {
            var span = scratch.mutableSpan
            let count = try resampler.process(sent.span.extracting(start..<start + input / 50), into: &span)
            heard += scratch.prefix(count)
        }
        let ideal = Signal.tone(1000, rate: output, count: output / 5)
        let window = max(resampler.delay - 2, 0)...resampler.delay + 2
        let (decibels, delay) = Signal.quality(heard, of: ideal, delays: window)
        #expect(decibels > 40)
        #expect(abs(delay - resampler.delay) <= 1)
        #expect(resampler.delay * 1000 <= (min(input, output) == 8000 ? 5000 : 2500) * output / 1000)
    }

    @Test("A tone above the lower rate's half is gone")
    func aliasing() throws {
        var resampler = try Resampler(from: 48_000, to: 8000)
        let sent = Signal.tone(6000, rate: 48_000, count: 48_000)
        var scratch = [Int16](repeating: 0, count: 8000)
        var span = scratch.mutableSpan
        #expect(try resampler.process(sent.span, into: &span) == 8000)
        #expect(Signal.power(scratch[1000...]) < Signal.power(sent[...]) / 1e5)
    }

    @Test("Other rates and outputs too small are refused")
    func refused() throws {
        #expect(throws: AudioError.rate(44_100)) { _ = try Resampler(from: 44_100, to: 48_000) }
        #expect(throws: AudioError.rate(0)) { _ = try Resampler(from: 48_000, to: 0) }
        var resampler = try Resampler(from: 48_000, to: 16_000)
        #expect(throws: AudioError.noRoom(needed: 320, room: 319)) {
            var scratch = [Int16](repeating: 0, count: 319)
            var span = scratch.mutableSpan
            _ = try resampler.process([Int16](repeating: 0, count: 960).span, into: &span)
        }
    }
}
