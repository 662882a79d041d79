/// What a receiver of Opus would like to be sent (RFC 7587 §6.1): the peer's steer our encoder, ours steer the peer's.
package struct OpusParameters: Hashable, Sendable {
    /// Whether it makes use of in-band forward error correction.
    package var useInbandFEC = false
    package var useDTX = false
    /// Whether it wants packets of one size, so that what is said cannot be told from their lengths.
    package var constantBitrate = false
    /// Whether it prefers stereo; decoding stereo is always possible.
    package var stereo = false
    /// Bit/s, 6000 … 510 000.
    package var maxAverageBitrate: Int?
    /// Hz, 8000 … 48 000: audio above half of it would not be heard.
    package var maxPlaybackRate: Int?
    /// Milliseconds of audio in a packet, 3 … 120: the least (a hint that browsers write), the preferred, the most.
    package var minPTime: Int?
    package var pTime: Int?
    package var maxPTime: Int?

    package init() {}
}

extension OpusParameters {
    /// Reads the value of an `a=fmtp:` behind its payload type; what it does not know it passes over.
    mutating func read(fmtp value: Substring) {
        for parameter in value.parts(separatedBy: ";") {
            guard let (name, setting) = parameter.halves(around: "="), let word = setting.words.first,
                let number = word.decimal(Int.self)
            else { continue }
            switch name.words.first?.lowercased() {
            case "useinbandfec": useInbandFEC = number == 1
            case "usedtx": useDTX = number == 1
            case "cbr": constantBitrate = number == 1
            case "stereo": stereo = number == 1
            case "maxaveragebitrate": maxAverageBitrate = min(max(number, 6000), 510_000)
            case "maxplaybackrate": maxPlaybackRate = min(max(number, 8000), 48_000)
            case "minptime": minPTime = Self.packetTime(number)
            case "ptime": pTime = Self.packetTime(number)
            case "maxptime": maxPTime = Self.packetTime(number)
            default: break
            }
        }
    }

    static func packetTime(_ milliseconds: Int) -> Int {
        min(max(milliseconds, 3), 120)
    }

    /// The value of an `a=fmtp:` behind its payload type. `ptime` and `maxptime` are attributes of their own.
    var fmtp: String {
        var parameters = [minPTime.map { "minptime=\($0)" }, "useinbandfec=\(useInbandFEC ? 1 : 0)"]
        parameters += ["stereo=\(stereo ? 1 : 0)", useDTX ? "usedtx=1" : nil]
        parameters += [constantBitrate ? "cbr=1" : nil]
        parameters += [maxPlaybackRate.map { "maxplaybackrate=\($0)" }]
        parameters += [maxAverageBitrate.map { "maxaveragebitrate=\($0)" }]
        return parameters.compactMap(\.self).joined(separator: ";")
    }
}
