import SDP

/// What browsers refuse an answer for, checked against the offer (RFC 3264 §6, RFC 9143 §7.3, RFC 9429 §5.11, and
/// libwebrtc's `ValidateAndMaybeUpdateBundleGroups`). Written apart from the code that makes the answer.
func problems(inAnswer answerText: String, to offerText: String) throws -> [String] {
    let (answer, offer) = (try SessionDescription(parsing: answerText), try SessionDescription(parsing: offerText))
    guard answer.media.count == offer.media.count else { return ["number of m-lines"] }
    var problems: [String] = []
    func expect(_ condition: Bool, _ problem: String) {
        if !condition { problems.append(problem) }
    }
    func groups(_ description: SessionDescription) -> [[String]] {
        description.attributes.filter { $0.name == "group" }
            .map { ($0.value ?? "").split(separator: " ").map(String.init) }
            .filter { $0.first == "BUNDLE" }.map { Array($0.dropFirst()) }
    }

    for group in groups(answer) {
        let sections = group.map { mid in answer.media.first { $0.all("mid") == [mid] } }
        expect(!group.isEmpty, "empty group")
        expect(groups(offer).contains { Set($0).isSuperset(of: group) }, "group is no subset of the offer's")
        expect(sections.allSatisfy { $0 != nil && $0?.port != 0 }, "rejected or unknown mid in group")
    }
    var accepted = 0
    for (index, (ours, theirs)) in zip(answer.media, offer.media).enumerated() {
        expect(ours.media == theirs.media, "\(index): media")
        expect(ours.proto == theirs.proto, "\(index): proto")
        expect(ours.all("mid") == theirs.all("mid"), "\(index): mid")
        expect(!ours.formats.isEmpty, "\(index): formats")
        expect(!ours.has("bundle-only"), "\(index): bundle-only in an answer")
        expect(ours.lines.map(\.type) == [UInt8(ascii: "c")], "\(index): c-line")
        guard ours.port != 0 else {
            expect(ours.formats == theirs.formats, "\(index): formats of rejected section")
            expect(ours.attributes.allSatisfy { $0.name == "mid" }, "\(index): attributes of rejected section")
            continue
        }
        accepted += ours.media == "audio" ? 1 : 0
        expect(theirs.port != 0 || theirs.has("bundle-only"), "\(index): accepts what is not offered")
        for name in ["ice-ufrag", "ice-pwd", "fingerprint", "setup", "rtcp-mux", "msid"] {
            let isNeeded = name != "msid" || ours.direction.sends
            expect(ours.all(name).count == (isNeeded ? 1 : 0), "\(index): \(name)")
        }
        if ours.media != "audio" {
            expect(ours.direction == .inactive, "\(index): takes more than audio")
            expect(groups(answer).first?.first == ours.all("mid").first, "\(index): not the tagged section")
        }
        // Chromium's "Failed to setup RTCP mux": the tagged section owns the transport of the others.
        if let tag = groups(offer).first(where: { $0.contains(theirs.all("mid").first ?? "") })?.first,
            let tagged = offer.media.firstIndex(where: { $0.all("mid") == [tag] }),
            offer.media[tagged].media == "video", offer.media[tagged].all("ice-ufrag") == theirs.all("ice-ufrag")
        {
            expect(answer.media[tagged].port != 0, "\(index): the section that owns the transport is rejected")
        }
        let offered = theirs.all("setup").first ?? "actpass"
        expect(
            ours.all("setup") == ["active"] && offered != "active"
                || ours.all("setup") == ["passive"]
                    && offered != "passive",
            "\(index): role")
        if let mid = theirs.all("mid").first, groups(offer).contains(where: { $0.contains(mid) }) {
            expect(groups(answer).contains { $0.contains(mid) }, "\(index): bundle not echoed")
        }
        expect(Set(theirs.formats).isSuperset(of: ours.formats), "\(index): payload types")
        let ranks = ours.formats.map { theirs.formats.firstIndex(of: $0) ?? 0 }
        expect(ranks == ranks.sorted(), "\(index): not in the offer's order of preference")
        for red in ours.all("rtpmap") where red.hasSuffix(" red/48000/2") {
            let type = red.prefix { $0.isNumber }
            let inside = ours.all("fmtp").filter { $0.hasPrefix("\(type) ") }
                .flatMap { $0.dropFirst(type.count + 1).split(separator: "/") }
            expect(inside.count == 2, "\(index): RED without a frame and a copy")
            expect(
                inside.allSatisfy { ours.all("rtpmap").contains("\($0) opus/48000/2") }, "\(index): RED of not Opus")
        }
        expect(Set(ours.formats).count == ours.formats.count, "\(index): payload type twice")
        // One channel is what leaving the channels out means (RFC 8866 §6.6).
        let maps = theirs.all("rtpmap").map { $0.lowercased().replacing("/8000/1", with: "/8000") }
        for map in ours.all("rtpmap") {
            expect(maps.contains(map.lowercased()), "\(index): rtpmap \(map)")
        }
        expect(ours.all("rtpmap").count == ours.formats.count, "\(index): rtpmap for each format")
        for map in ours.all("extmap") {
            let id = map.prefix { $0.isNumber }
            let uri = map.split(separator: " ").last ?? ""
            expect(
                theirs.all("extmap").contains { $0.prefix { $0.isNumber } == id && $0.contains(uri) },
                "\(index): extmap")
        }
        expect(!ours.direction.sends || theirs.direction.receives, "\(index): sends unasked")
        expect(!ours.direction.receives || theirs.direction.sends, "\(index): receives unasked")
        expect(!ours.has("rtcp-rsize") || theirs.has("rtcp-rsize"), "\(index): rtcp-rsize")
        expect(ours.all("rtcp-fb").isEmpty, "\(index): rtcp-fb")
    }
    expect(accepted == 1, "\(accepted) accepted sections")
    return problems
}
