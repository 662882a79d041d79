import Foundation
import PatchbayPlugin
import PatchbayTesting
import PlayerPipeline
import Testing

@Suite("Player")
struct PlayerTests {
    @Test("plays a file of its own rate sample by sample, then listens until the caller hangs up")
    func plays() async throws {
        let samples = (0..<4_800).map { Int16($0) }
        let heard = try await play(wave(samples, sampleRate: 48_000))
        #expect(heard.samples == samples)
    }

    @Test("plays more than the queue holds")
    func playsLongFiles() async throws {
        let heard = try await play(wave([Int16](repeating: 1, count: 48_000 * 40), sampleRate: 48_000))
        #expect(heard.duration == .seconds(40))
    }

    @Test("plays at the file's own rate", arguments: [8_000, 16_000, 24_000])
    func rates(rate: Int) async throws {
        let samples = PCMFrame.tone(500, frequency: 1_000, sampleRate: rate).samples
        let heard = try await play(wave(samples, sampleRate: rate))
        #expect(heard.samples == samples)
        #expect(heard.first?.sampleRate == rate)
    }

    @Test("mixes stereo down to one channel")
    func stereo() async throws {
        let heard = try await play(
            wave([1_000, 3_000, -32_768, -32_768, 32_767, 32_767], sampleRate: 48_000, channels: 2))
        #expect(heard.samples == [2_000, -32_768, 32_767])
    }

    @Test("skips chunks it does not know, odd ones included, and a data chunk of unknown length goes to the end")
    func chunks() async throws {
        var file = wave([5, 6, 7], sampleRate: 48_000)
        file.insert(contentsOf: Array("LIST".utf8) + [3, 0, 0, 0, 1, 2, 3, 0], at: 12)
        file.replaceSubrange(file.count - 10..<file.count - 6, with: [0xff, 0xff, 0xff, 0xff])
        #expect(try await play(file).samples == [5, 6, 7])
    }

    @Test(
        "says which file cannot be played, and why",
        arguments: [
            (Array("RIFF".utf8), "it is not a RIFF WAVE file"),
            (Array(wave([], sampleRate: 48_000).prefix(36)), "it has no 'data' chunk"),
            (Array(wave([], sampleRate: 48_000).prefix(12)), "it has no 'data' chunk"),
            (wave([1], sampleRate: 44_100), "it has 44100 samples a second"),
            (wave([1], sampleRate: 48_000, channels: 6), "it has 6 channels"),
            (wave([1], sampleRate: 48_000, encoding: 3), "it has 16 bits a sample in encoding 3"),
        ])
    func unplayable(file: [UInt8], reason: String) throws {
        let error = #expect(throws: SettingsFault.self) { try player(file) }
        #expect(error?.field == "path")
        #expect(error?.description.contains(".wav: \(reason)") == true, "\(error?.description ?? "")")
    }

    @Test(
        "says which path cannot be read, and why",
        arguments: [("/nowhere/a.wav", "No such file or directory"), ("/", "it is not a regular file")])
    func unreadable(path: String, reason: String) throws {
        let error = #expect(throws: SettingsFault.self) { try PlayerPipeline.watched("path: \(path)") }
        #expect(error?.description == "cannot play \(path): \(reason)")
    }

    @Test("survives a file cut off or damaged anywhere")
    func damaged() throws {
        let whole = wave([1, 2, 3, 4, 5, 6], sampleRate: 16_000, channels: 2)
        var played = 0
        for length in 0..<whole.count where (try? player(Array(whole.prefix(length)))) != nil { played += 1 }
        #expect(played == 12, "wherever the data chunk has begun")
        for place in whole.indices {
            var damaged = whole
            damaged[place] = 0xff
            _ = try? player(damaged)
        }
    }

    private func player(_ file: [UInt8]) throws -> PlayerPipeline {
        let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).wav")
        try Data(file).write(to: path)
        defer { try? FileManager.default.removeItem(at: path) }
        return try PlayerPipeline.watched("path: \(path.path)")
    }

    private func play(_ file: [UInt8]) async throws -> [PCMFrame] {
        try await player(file).answer(PCMFrame.silence(100, sampleRate: 48_000))
    }
}

/// A WAV file with one `fmt ` and one `data` chunk.
private func wave(_ samples: [Int16], sampleRate: UInt32, channels: UInt16 = 1, encoding: UInt16 = 1) -> [UInt8] {
    func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    let data = samples.flatMap { bytes($0) }
    return Array("RIFF".utf8) + bytes(UInt32(36 + data.count)) + Array("WAVEfmt ".utf8) + bytes(UInt32(16))
        + bytes(encoding) + bytes(channels) + bytes(sampleRate) + bytes(sampleRate * UInt32(channels) * 2)
        + bytes(channels * 2) + bytes(UInt16(16)) + Array("data".utf8) + bytes(UInt32(data.count)) + data
}

private func wave(_ samples: [Int16], sampleRate: Int) -> [UInt8] {
    wave(samples, sampleRate: UInt32(sampleRate))
}
