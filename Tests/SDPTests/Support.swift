import Foundation
import SDP
import Testing
import Wire

/// An offer as a real client wrote it.
struct RecordedOffer: CustomTestStringConvertible, Sendable {
    let name: String
    let text: String

    var testDescription: String { name }

    static let all: [RecordedOffer] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Vectors/offers")
        let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return files.filter { $0.pathExtension == "sdp" }.sorted { $0.path < $1.path }.compactMap { file in
            (try? Data(contentsOf: file)).map {
                RecordedOffer(name: file.lastPathComponent, text: String(decoding: $0, as: UTF8.self))
            }
        }
    }()

    static func named(_ name: String) -> String {
        all.first { $0.name == name + ".sdp" }?.text ?? ""
    }
}

extension LocalParameters {
    static let example = LocalParameters(
        sessionID: 4_611_686_018_427_387_904, sessionVersion: 2, iceUfrag: "oUr1",
        icePassword: "aVeryGoodPasswordOf28Chars+/",
        fingerprint: Fingerprint(algorithm: .sha256, bytes: Array(0..<32)),
        candidates: ["1 1 udp 2130706431 192.0.2.7 40000 typ host"], ssrc: 0xfedc_ba98,
        cname: "c0ffee")
}

extension SessionDescription.Media {
    func all(_ name: String) -> [String] {
        attributes.filter { $0.name == name }.map { $0.value ?? "" }
    }

    func has(_ name: String) -> Bool {
        attributes.contains { $0.name == name }
    }

    var direction: MediaDirection {
        attributes.compactMap { MediaDirection(rawValue: $0.name) }.first ?? .sendrecv
    }
}

extension String {
    func lines() -> [String] {
        split(whereSeparator: \.isNewline).map(String.init)
    }

    /// The description with every line for which `keep` says no taken out.
    func filterLines(_ keep: (String) -> Bool) -> String {
        lines().filter(keep).map { $0 + "\r\n" }.joined()
    }
}
