/// Why a session description is refused, and where. The text is fit to be shown to whoever wrote the client.
package struct SDPError: Error, Equatable, Sendable {
    package enum Reason: Equatable, Sendable {
        case tooLong(bytes: Int)
        case tooManyLines
        case lineTooLong(bytes: Int)
        case tooManyMediaSections
        case tooManyFormats
        case noVersion
        case malformedLine
        case malformedMedia
        case controlCharacter
        /// An attribute that is there but cannot be read; the payload is its name.
        case malformed(String)
        /// An attribute that has to be there and is not; the payload is its name.
        case missing(String)
        case duplicateMid
        case noAudio
        case rejectedAudio
        case unsupportedProtocol
        case noOpus
        case unsupportedFingerprint
        case holdConnection
        case passiveOrActiveExpected
        case mediaCountChanged(Int)
        case notOffered(String)
    }

    /// The line it was seen on, from 1; 0 when it is about the description as a whole.
    package var line: Int
    package var reason: Reason

    package init(_ reason: Reason, line: Int = 0) {
        (self.line, self.reason) = (line, reason)
    }
}

extension SDPError: CustomStringConvertible {
    package var description: String {
        line > 0 ? "SDP line \(line): \(reason)" : "SDP: \(reason)"
    }
}

extension SDPError.Reason: CustomStringConvertible {
    package var description: String {
        switch self {
        case .tooLong(let bytes): "\(bytes) bytes, more than \(SessionDescription.maximumLength)"
        case .tooManyLines: "more than \(SessionDescription.maximumLines) lines"
        case .lineTooLong(let bytes): "line of \(bytes) bytes, more than \(SessionDescription.maximumLineLength)"
        case .tooManyMediaSections: "more than \(SessionDescription.maximumMediaSections) m-lines"
        case .tooManyFormats: "more than \(SessionDescription.maximumFormats) formats in one m-line"
        case .noVersion: "does not start with v=0 (RFC 8866 §5.1)"
        case .malformedLine: "is not of the form <letter>=<value> (RFC 8866 §5)"
        case .malformedMedia: "is not m=<media> <port> <proto> <fmt> ... (RFC 8866 §5.14)"
        case .controlCharacter: "holds a control character (RFC 8866 §9)"
        case .malformed(let name): "a=\(name) is malformed"
        case .missing(let name): "a=\(name) is missing (RFC 9429 §5.2.1)"
        case .duplicateMid: "two m-lines have the same a=mid (RFC 5888 §4)"
        case .noAudio: "no audio m-line"
        case .rejectedAudio: "the audio m-line has port 0 without a=bundle-only (RFC 3264 §6)"
        case .unsupportedProtocol: "not an RTP profile of RFC 9429 §5.1.2; use UDP/TLS/RTP/SAVPF"
        case .noOpus: "no opus/48000/2 among the formats of the audio m-line (RFC 7587 §7)"
        case .unsupportedFingerprint: "no a=fingerprint with sha-256, sha-384 or sha-512 (RFC 8122 §5)"
        case .holdConnection: "a=setup:holdconn is not supported (RFC 8842 §5.2)"
        case .passiveOrActiveExpected: "an answer has a=setup:active or a=setup:passive (RFC 8842 §5.3)"
        case .mediaCountChanged(let count): "\(count) m-lines answer an offer that had another number (RFC 3264 §6)"
        case .notOffered(let what): "the answer has \(what) that was not offered (RFC 3264 §6.1)"
        }
    }
}
