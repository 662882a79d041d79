/// What a test has a raw peer say.
extension RawPeer {
    /// The next 20 ms of a tone.
    func sendVoice() {
        send(payload: voice[voiceIndex % voice.count])
        voiceIndex += 1
        timestamp &+= 960
    }

    /// The next 20 ms of a tone, with copies of the `depth` frames before it (RFC 2198).
    func sendRedundantVoice(depth: Int) {
        let copies = (1...depth).reversed().map {
            (back: $0, payload: voice[(voiceIndex + voice.count - $0) % voice.count])
        }
        var payload: [UInt8] = []
        for (back, copy) in copies {
            let header = UInt32(0x80 | 111) << 24 | UInt32(960 * back) << 10 | UInt32(copy.count)
            payload += [UInt8(header >> 24), UInt8(header >> 16 & 255), UInt8(header >> 8 & 255), UInt8(header & 255)]
        }
        payload += [111] + copies.flatMap(\.payload) + voice[voiceIndex % voice.count]
        send(payload: payload, payloadType: Self.red)
        voiceIndex += 1
        timestamp &+= 960
    }

    /// `count` frames of the tone in one packet (RFC 6716 §3.2.5, code 3 with lengths).
    func sendVoice(frames count: Int) {
        let frames = (0..<count).map { voice[(voiceIndex + $0) % voice.count] }
        var payload = [frames[0][0] | 3, UInt8(0x80 | count)]
        for frame in frames.dropLast() {
            let length = frame.count - 1
            payload += length < 252 ? [UInt8(length)] : [UInt8(252 + length % 4), UInt8((length - 252) / 4)]
        }
        for frame in frames { payload += frame.dropFirst() }
        send(payload: payload)
        voiceIndex += count
        timestamp &+= UInt32(960 * count)
    }

    /// 20 ms of silence in Opus: hybrid, nothing coded.
    func sendSilence() {
        send(payload: [0xf8, 0xff, 0xfe])
        timestamp &+= 960
    }

    /// Time goes by without a packet.
    func pause(frames: Int) {
        timestamp &+= UInt32(960 * frames)
    }

    /// A packet of the network's loss.
    func loseVoice() {
        voiceIndex += 1
        sequenceNumber &+= 1
        timestamp &+= 960
    }

    func sendKey(_ event: UInt8, isEnd: Bool, duration: UInt16, payloadType: UInt8 = 110, ssrc: UInt32? = nil) {
        let payload = [event, isEnd ? 0x8a : 0x0a, UInt8(duration >> 8), UInt8(duration & 255)]
        send(payload: payload, payloadType: payloadType, ssrc: ssrc)
    }
}
