/// A point in time, written as RFC 3339 has it or as a date, which stands for its first moment in UTC.
public struct Timestamp: Hashable, Comparable {
    /// Since 1970-01-01 UTC, leap seconds not counted.
    public let sinceEpoch: Duration

    /// The time so long after 1970-01-01 UTC.
    public init(sinceEpoch: Duration) {
        self.sinceEpoch = sinceEpoch
    }

    /// Whether it comes before.
    public static func < (one: Timestamp, other: Timestamp) -> Bool { one.sinceEpoch < other.sinceEpoch }
}

extension Timestamp: FieldScalar {
    /// `a date or a time`
    public static var noun: String { "a date or a time" }

    /// JSON Schema: a `full-date` or a `date-time` of RFC 3339 §5.6.
    public static var schema: JSONValue {
        let time = #"[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"#
        return ["type": "string", "pattern": .string("^[0-9]{4}-[0-9]{2}-[0-9]{2}(\(time))?$|\\$\\{")]
    }

    /// `2027-01-31`, `2027-01-31T12:00:00Z` or `2027-01-31T12:00:00.5+02:00`; to the nanosecond.
    public static func decode(_ text: String) -> Timestamp? {
        let format =
            /([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2})))?/
        guard let match = text.wholeMatch(of: format)?.output,
            let date = CivilDate(year: number(match.1), month: number(match.2), day: number(match.3))
        else { return nil }
        let (hour, minute, second) = (number(match.4), number(match.5), number(match.6))
        let (offsetHour, offsetMinute) = (number(match.9), number(match.10))
        // A leap second is `:60`.
        guard hour < 24, minute < 60, second <= 60, offsetHour < 24, offsetMinute < 60 else { return nil }
        let offset = (offsetHour * 60 + offsetMinute) * (match.8 == "-" ? -60 : 60)
        let seconds = date.days * 86_400 + hour * 3_600 + minute * 60 + second - offset
        let fraction = ((match.7 ?? "") + "000000000").prefix(9)
        return Timestamp(sinceEpoch: .seconds(seconds) + .nanoseconds(number(fraction)))
    }

    private static func number(_ digits: Substring?) -> Int { digits.flatMap { Int($0) } ?? 0 }

    /// How a time is written.
    public static func advice(for text: String) -> String? {
        "write a date, or a time with its zone: 2027-01-31, 2027-01-31T12:00:00Z"
    }

    /// In UTC, with no more of the fraction than there is.
    public var written: JSONValue {
        var (seconds, attoseconds) = sinceEpoch.components
        if attoseconds < 0 { (seconds, attoseconds) = (seconds &- 1, attoseconds + 1_000_000_000_000_000_000) }
        let date = CivilDate(days: Int(seconds).dividedDown(by: 86_400))
        let time = Int(seconds) &- date.days &* 86_400
        var fraction = padded(Int(attoseconds / 1_000_000_000), 9)
        while fraction.last == "0" { fraction.removeLast() }
        return .string(
            "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))"
                + "T\(padded(time / 3_600, 2)):\(padded(time / 60 % 60, 2)):\(padded(time % 60, 2))"
                + (fraction.isEmpty ? "Z" : ".\(fraction)Z"))
    }
}

extension Timestamp: CustomStringConvertible {
    /// As it is written; of a day's first moment in UTC the date alone.
    public var description: String {
        let (text, midnight) = (written.string ?? "", "T00:00:00Z")
        return text.hasSuffix(midnight) ? String(text.dropLast(midnight.count)) : text
    }
}

extension Timestamp {
    /// The month that it lies in, in UTC: the first moments of this month and of the next.
    public var month: (start: Timestamp, end: Timestamp) {
        let (seconds, attoseconds) = sinceEpoch.components
        let date = CivilDate(days: Int(seconds &- (attoseconds < 0 ? 1 : 0)).dividedDown(by: 86_400))
        let first = date.days &- (date.day - 1)
        // No month is longer, so this is its last day's morrow, or one of the days behind that.
        let later = CivilDate(days: first &+ 31)
        return (Self(day: first), Self(day: later.days &- (later.day - 1)))
    }

    private init(day: Int) {
        self.init(sinceEpoch: .seconds(day &* 86_400))
    }
}

private func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// A day of the Gregorian calendar, by the arithmetic of years that begin in March: the leap day is their last.
private struct CivilDate {
    let year: Int
    let month: Int
    let day: Int
    /// Since 1970-01-01.
    let days: Int

    /// Nil where the calendar has no such day.
    init?(year: Int, month: Int, day: Int) {
        guard (1...12).contains(month), (1...31).contains(day) else { return nil }
        let marchYear = month > 2 ? year : year - 1
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let leapDays = marchYear.dividedDown(by: 4) - marchYear.dividedDown(by: 100) + marchYear.dividedDown(by: 400)
        self.init(days: marchYear * 365 + leapDays + dayOfYear - 719_468)
        guard self.month == month else { return nil }
    }

    init(days: Int) {
        let shifted = days + 719_468
        let era = shifted.dividedDown(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (marchMonth < 10 ? 0 : 1)
        self.days = days
    }
}

extension Int {
    /// Rounds towards minus infinity.
    fileprivate func dividedDown(by divisor: Int) -> Int {
        self >= 0 ? self / divisor : (self + 1) / divisor - 1
    }
}
