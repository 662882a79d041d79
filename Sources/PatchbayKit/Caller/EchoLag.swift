/// How loud a sound is, a number a millisecond.
typealias Loudness = [UInt16]

/// Mean absolute value of each millisecond; what is left at the end is not counted.
func loudness(of samples: [Int16], rate: Int) -> Loudness {
    let block = rate / 1000
    return stride(from: 0, through: samples.count - block, by: block).map { start in
        UInt16(samples[start..<start + block].reduce(0) { $0 + Int($1.magnitude) } / block)
    }
}

/// How far into `heard` the sound `said` begins, in milliseconds; nil when it is not there.
///
/// Compares the two first in steps of 10 ms, then around the best of them in steps of 1 ms. Where `said` is repeated, a lag
/// longer than it cannot be told from one that is shorter by its length.
func echoLag(said: Loudness, heard: Loudness) -> Int? {
    let period = said.count
    // At most 5 s are compared, and at most half of what was heard.
    let said = said.prefix(min(5000, heard.count / 2))
    // Less than half a second cannot be told from chance.
    guard said.count >= 500 else { return nil }
    let heard = heard.prefix(period + said.count)
    let (coarseSaid, coarseHeard) = (means(said, of: 10), means(heard, of: 10))
    let coarse = bestLag(of: coarseSaid, in: coarseHeard, within: 0...(coarseHeard.count - coarseSaid.count))
    guard let coarse, coarse.score > 0.6 else { return nil }
    let (fineSaid, fineHeard) = (means(said, of: 1), means(heard, of: 1))
    let last = fineHeard.count - fineSaid.count
    let center = min(coarse.lag * 10, last)
    return bestLag(of: fineSaid, in: fineHeard, within: max(center - 10, 0)...min(center + 10, last))?.lag
}

/// Where in `recording` it resembles `reference` most.
private func bestLag(
    of reference: [Double], in recording: [Double], within lags: ClosedRange<Int>
) -> (lag: Int, score: Double)? {
    lags.map { lag in (lag, correlation(reference[...], recording[lag..<lag + reference.count])) }
        .max { $0.1 < $1.1 }
}

/// The mean of each `count` of the values.
private func means(_ values: ArraySlice<UInt16>, of count: Int) -> [Double] {
    stride(from: values.startIndex, through: values.endIndex - count, by: count).map { start in
        values[start..<start + count].reduce(0.0) { $0 + Double($1) } / Double(count)
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
