extension StringProtocol {
    /// Whether at most 30 non-starters follow one another, the Stream-Safe Text Format of UAX #15 §13.
    ///
    /// Swift compares and hashes text in its canonical order, which takes as many steps as the square of such a run's length.
    package var isStreamSafe: Bool {
        var run = 0
        for scalar in unicodeScalars {
            run = scalar.isNonStarter ? run + 1 : 0
            if run > 30 { return false }
        }
        return true
    }
}

extension Unicode.Scalar {
    /// Whether its decomposition begins with a character that canonical ordering may move.
    fileprivate var isNonStarter: Bool {
        switch value {
        case ..<0x300: false
        // Of class 0 themselves, and the only ones that come apart into others.
        case 0x0F73, 0x0F75, 0x0F81: true
        default: properties.canonicalCombiningClass != .notReordered
        }
    }
}
