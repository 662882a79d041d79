/// How far into `heard` the sound `said` begins, which was said over and over; nil when it is not there.
///
/// Compares the loudness of the two, first in steps of 10 ms, then around the best of them in steps of 1 ms. A lag longer than
/// the sound itself cannot be told from one that is shorter by its length.
func echoLag(said: [Int16], heard: [Int16], rate: Int) -> Duration? {
    let period = said.count
    // At most 5 s are compared, and at most half of what was heard.
    let said = said.prefix(min(rate * 5, heard.count / 2))
    // Less than half a second cannot be told from chance.
    guard said.count >= rate / 2 else { return nil }
    let heard = heard.prefix(period + said.count)
    let (coarseSaid, coarseHeard) = (loudness(said, block: rate / 100), loudness(heard, block: rate / 100))
    let coarse = bestLag(of: coarseSaid, in: coarseHeard, within: 0...(coarseHeard.count - coarseSaid.count))
    guard let coarse, coarse.score > 0.6 else { return nil }
    let (fineSaid, fineHeard) = (loudness(said, block: rate / 1000), loudness(heard, block: rate / 1000))
    let last = fineHeard.count - fineSaid.count
    let center = min(coarse.lag * 10, last)
    let fine = bestLag(of: fineSaid, in: fineHeard, within: max(center - 10, 0)...min(center + 10, last))
    return fine.map { .milliseconds($0.lag) }
}

/// Where in `recording` it resembles `reference` most.
private func bestLag(
    of reference: [Double], in recording: [Double], within lags: ClosedRange<Int>
) -> (lag: Int, score: Double)? {
    lags.map { lag in (lag, correlation(reference[...], recording[lag..<lag + reference.count])) }
        .max { $0.1 < $1.1 }
}

/// Mean absolute value of each block of samples.
private func loudness(_ samples: ArraySlice<Int16>, block: Int) -> [Double] {
    stride(from: samples.startIndex, through: samples.endIndex - block, by: block).map { start in
        samples[start..<start + block].reduce(0.0) { $0 + Double($1.magnitude) } / Double(block)
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
