/// A video section that is answered as inactive instead of rejected, because the audio travels on its transport.
///
/// The transport of a bundle belongs to the tagged section, the first of the group; rejecting that one takes the
/// transport away from the others (RFC 9143 §7.3.1), and Chromium with `bundlePolicy: "max-bundle"` refuses the answer.
struct InactiveVideo {
    var index: Int
    /// One payload type of the section, as an answer cannot be without.
    var payloadType: UInt8
    var encoding: String

    /// Names of our own for the encodings that we say yes to, so that none of the peer's comes back.
    private static let encodings = [
        "vp8/90000": "VP8/90000", "vp9/90000": "VP9/90000", "av1/90000": "AV1/90000", "h264/90000": "H264/90000",
    ]

    /// The section whose transport audio section `audio` shares; nil when the audio has its own, or no bundle.
    init?(_ description: SessionDescription, audio: Int) {
        let section = description.media[audio]
        guard let tag = description.bundle(containing: section.mid)?.first.map(String.init), tag != section.mid,
            let index = description.media.firstIndex(where: { $0.mid == tag })
        else { return nil }
        let tagged = description.media[index]
        let ufrag = Self.ufrag(of: tagged, in: description)
        guard tagged.media == "video", !tagged.isRejected, ufrag != nil,
            ufrag == Self.ufrag(of: section, in: description) ?? ufrag
        else { return nil }
        for format in tagged.formats {
            for map in tagged.attributes where map.name == "rtpmap" {
                guard let words = map.value?.words, words.count == 2, words[0] == format[...],
                    let type = format.decimal(UInt8.self), type < 128,
                    let encoding = Self.encodings[words[1].lowercased()]
                else { continue }
                (self.index, payloadType, self.encoding) = (index, type, encoding)
                return
            }
        }
        return nil
    }

    private static func ufrag(of section: SessionDescription.Media, in description: SessionDescription) -> String? {
        (section.attributes.first(named: "ice-ufrag") ?? description.attributes.first(named: "ice-ufrag"))?.value
    }
}
