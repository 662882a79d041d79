/// How far into `heard` the sound `said` begins; nil when it is not there.
///
/// Compares the loudness of the two, millisecond by millisecond, over the first ten seconds, or half of what was heard.
func echoLag(said: [Int16], heard: [Int16], rate: Int) -> Duration? {
    let recording = loudness(heard.prefix(rate * 20), rate: rate)
    let reference = loudness(said.prefix(min(rate * 10, heard.count / 2)), rate: rate)
    // Less than half a second cannot be told from chance.
    guard reference.count >= 500, recording.count >= reference.count else { return nil }
    var best: (lag: Int, score: Double)?
    for lag in 0...(recording.count - reference.count) {
        let score = correlation(reference[...], recording[lag..<lag + reference.count])
        if score > best?.score ?? 0.6 {
            best = (lag, score)
        }
    }
    return best.map { .milliseconds($0.lag) }
}

/// Mean absolute value of each millisecond.
private func loudness(_ samples: ArraySlice<Int16>, rate: Int) -> [Double] {
    let size = rate / 1000
    return stride(from: samples.startIndex, through: samples.endIndex - size, by: size).map { start in
        samples[start..<start + size].reduce(0.0) { $0 + Double($1.magnitude) } / Double(size)
    }
}

/// Pearson's coefficient of two series of one length, -1 … 1; 0 where one of them is constant.
private func correlation(_ left: ArraySlice<Double>, _ right: ArraySlice<Double>) -> Double {
    let count = Double(left.count)
    let (leftMean, rightMean) = (left.reduce(0, +) / count, right.reduce(0, +) / count)
    var (product, leftSquare, rightSquare) = (0.0, 0.0, 0.0)
    for (a, b) in zip(left, right) {
        product += (a - leftMean) * (b - rightMean)
        leftSquare += (a - leftMean) * (a - leftMean)
        rightSquare += (b - rightMean) * (b - rightMean)
    }
    let scale = (leftSquare * rightSquare).squareRoot()
    return scale > 0 ? product / scale : 0
}
