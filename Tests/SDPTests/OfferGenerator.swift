import TestSupport

/// Writes offers of all the shapes that RFC 9429 allows, each with an audio section that can be answered.
struct OfferGenerator {
    var random: Seeded

    mutating func make() -> String {
        let audioAt = Int.random(in: 0..<3, using: &random)
        let count = Int.random(in: audioAt + 1...4, using: &random)
        let (hasMids, sessionLevel) = (flip(0.9), flip(0.3))
        let isBundled = hasMids && flip(0.9)
        let maxBundle = isBundled && flip(0.5)
        let mids = (0..<count).map { flip(0.5) ? "\($0)" : "media-\($0)" }
        let transport = makeTransport()

        var text = "v=0\r\no=- \(UInt32.random(in: 0 ... .max, using: &random)) 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
        if isBundled { text += "a=group:BUNDLE \(mids.joined(separator: " "))\r\n" }
        if sessionLevel { text += transport }
        for index in 0..<count {
            let isAudio = index == audioAt || (index > audioAt && flip(0.3))
            // A bundle-only section with port 0 may leave its transport to the tagged one.
            let isBundleOnly = maxBundle && index > 0 && flip(0.5)
            let port = isBundleOnly ? 0 : flip(0.5) ? 9 : Int.random(in: 1024...65535, using: &random)
            text += isAudio ? makeAudio(port: port) : makeOther(port: port)
            if hasMids { text += "a=mid:\(mids[index])\r\n" }
            if isBundleOnly { text += "a=bundle-only\r\n" }
            if !sessionLevel, !isBundleOnly || flip(0.5) { text += maxBundle ? transport : makeTransport() }
            text += "a=rtcp-mux\r\n"
        }
        return flip(0.3) ? String(text.map { $0 == "\r\n" ? "\n" : $0 }) : text
    }

    private mutating func makeTransport() -> String {
        let hash = (0..<32).map { _ in
            let digits = Array("0123456789ABCDEFabcdef")
            return String([digits.randomElement(using: &random) ?? "0", digits.randomElement(using: &random) ?? "0"])
        }
        let setup = ["actpass", "actpass", "active", "passive"].randomElement(using: &random) ?? "actpass"
        return "a=ice-ufrag:u\(Int.random(in: 100...999_999, using: &random))\r\n"
            + "a=ice-pwd:0123456789abcdefghij\(Int.random(in: 10...99, using: &random))\r\n"
            + "a=fingerprint:sha-256 \(hash.joined(separator: ":"))\r\n" + "a=setup:\(setup)\r\n"
            + (flip(0.8) ? "a=ice-options:trickle\r\n" : "")
    }

    private mutating func makeAudio(port: Int) -> String {
        var types = Array((96...127).shuffled(using: &random).prefix(4))
        let (opus, wide, narrow, red) = (types[0], types[1], types[2], types[3])
        types.shuffle(using: &random)
        let name = ["opus/48000/2", "OPUS/48000/2", "Opus/48000/2"].randomElement(using: &random) ?? ""
        var text = "m=audio \(port) UDP/TLS/RTP/SAVPF \(types.map(String.init).joined(separator: " ")) 0 8 13\r\n"
        text += "c=IN IP4 0.0.0.0\r\n"
        text += "a=rtpmap:\(opus) \(name)\r\na=rtpmap:\(red) red/48000/2\r\na=fmtp:\(red) \(opus)/\(opus)\r\n"
        text += "a=rtpmap:\(wide) telephone-event/48000\r\na=rtpmap:\(narrow) telephone-event/8000\r\n"
        text += "a=fmtp:\(opus) minptime=10; useinbandfec=1;stereo=1\r\na=rtcp-fb:\(opus) transport-cc\r\n"
        let ids = (1...14).shuffled(using: &random)
        let way = ["", "", "/sendonly", "/recvonly"].randomElement(using: &random) ?? ""
        text += "a=extmap:\(ids[0]) urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
        text += "a=extmap:\(ids[1])\(way) urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
        text += "a=extmap:\(ids[2]) http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"
        text += "a=\(["sendrecv", "sendonly", "recvonly", "inactive"].randomElement(using: &random) ?? "")\r\n"
        return text + (flip(0.5) ? "a=rtcp-rsize\r\n" : "")
    }

    private mutating func makeOther(port: Int) -> String {
        flip(0.5)
            ? "m=video \(port) UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\n"
            : "m=application \(port) UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=sctp-port:5000\r\n"
    }

    private mutating func flip(_ probability: Double) -> Bool {
        Double.random(in: 0..<1, using: &random) < probability
    }
}
