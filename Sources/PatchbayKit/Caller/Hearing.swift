/// When what was said came back, from as little as that takes: how loud the first and the last seconds of a call were.
struct Hearing {
    /// How many frames of either end are looked at: 15 s.
    private static let length = 750
    private let rate: Int
    private var beginning = Stretch()
    private var end = Stretch()

    init(rate: Int) {
        self.rate = rate
    }

    /// Takes 20 ms of sound.
    ///
    /// - Parameter time: since talking began.
    mutating func hear(_ samples: [Int16], at time: Duration) {
        let loudness = loudness(of: samples, rate: rate)
        if beginning.arrivals.count < Self.length { beginning.append(loudness, at: time) }
        // Cut once in a while, not at each frame.
        if end.arrivals.count == 2 * Self.length { end = end.suffix(Self.length) }
        end.append(loudness, at: time)
    }

    /// From saying to hearing `speech`, which is said over and over: at the beginning of the call and at its end. nil where
    /// what was heard is something else.
    func latencies(of speech: [Int16]) -> (beginning: Duration?, end: Duration?) {
        let end = end.suffix(Self.length)
        return (beginning.latency(of: speech, rate: rate), end.latency(of: speech, rate: rate))
    }

    /// Frames without a gap between them.
    private struct Stretch {
        private static let frame = 20
        var loudness: Loudness = []
        /// Of each frame, in milliseconds.
        var arrivals: [Double] = []

        mutating func append(_ frame: Loudness, at time: Duration) {
            loudness += frame.prefix(Self.frame)
            loudness += repeatElement(0, count: Self.frame - min(frame.count, Self.frame))
            arrivals.append(time / .milliseconds(1))
        }

        func suffix(_ count: Int) -> Stretch {
            Stretch(loudness: loudness.suffix(count * Self.frame), arrivals: arrivals.suffix(count))
        }

        func latency(of speech: [Int16], rate: Int) -> Duration? {
            guard !arrivals.isEmpty, !speech.isEmpty else { return nil }
            // By all frames, since each may come a little sooner or later.
            let late = arrivals.enumerated().reduce(0.0) { $0 + $1.element - Double($1.offset * Self.frame) }
            let start = max(late / Double(arrivals.count), 0)
            // What was being said when the stretch began, and after it.
            let turn = Int(start * Double(rate) / 1000) % speech.count
            let said = PatchbayKit.loudness(of: Array(speech[turn...]) + speech.prefix(turn), rate: rate)
            return echoLag(said: said, heard: loudness).map { .milliseconds($0) }
        }
    }
}
