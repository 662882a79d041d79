/// Decides from a peer's reports whether forward error correction pays: on above 3 % loss, off below 1 %.
///
/// Without loss it costs quality, for the copies take bits from the sound itself.
struct LossFollower {
    private static let on = 0.03
    private static let off = 0.01
    /// What a report counts against those before it.
    private static let weight = 0.4
    /// What the encoder is told at least and at most, in percent: with less than 6, libopus would rather keep its bandwidth
    /// than make copies, and with 20, copies crowd out the sound. In between, 7 to 10 sounded best at 5 % loss.
    private static let told = 8.0...15.0

    private var loss = 0.0
    private var isOn = false

    /// - Parameter fraction: of the peer's last interval, in 1/256 (RFC 3550 §6.4.1).
    mutating func reported(fraction: UInt8) {
        loss += (Double(fraction) / 256 - loss) * Self.weight
        isOn = isOn ? loss > Self.off : loss > Self.on
    }

    /// What the encoder should reckon with; 0 for no correction.
    var percentage: Int {
        isOn ? Int(min(max(loss * 100, Self.told.lowerBound), Self.told.upperBound).rounded(.up)) : 0
    }
}
