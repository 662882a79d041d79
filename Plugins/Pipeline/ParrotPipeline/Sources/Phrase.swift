internal import PatchbayPlugin

/// What a caller says from one pause to the next.
struct Phrase {
    /// Less voice than this is a click or a breath, and neither interrupts nor is repeated.
    private static let shortest = Duration.milliseconds(100)

    private let longest: Duration
    private var frames: [PCMFrame] = []
    private var length = Duration.zero
    private var voiced = Duration.zero

    /// How long the caller has been silent.
    private(set) var quiet = Duration.zero

    init(longest: Duration) {
        self.longest = longest
    }

    var isSpeech: Bool { voiced >= Self.shortest }

    /// The frames from the first voiced to the last, pauses between words included.
    var spoken: ArraySlice<PCMFrame> {
        frames.prefix((frames.lastIndex { !$0.silent } ?? -1) + 1)
    }

    mutating func hear(_ frame: PCMFrame) {
        if frame.silent {
            quiet += frame.duration
            if frames.isEmpty { return }
        } else {
            quiet = .zero
            voiced += frame.duration
        }
        if length < longest {
            frames.append(frame)
            length += frame.duration
        }
    }
}
