public import PatchbayPlugin

/// How often there are new minutes. Periods begin by the calendar, in UTC, the same on every gateway.
public enum Period: Hashable, Sendable {
    /// At midnight.
    case day
    /// On Monday.
    case week
    /// On the first.
    case month
    /// So often, counted from 1970-01-01; a minute at least.
    case every(Duration)

    /// The period that `time` lies in, both since 1970-01-01 UTC; its end is the next one's start.
    func containing(_ time: Duration) -> (start: Duration, end: Duration) {
        switch self {
        case .day: return Self.span(of: .seconds(86_400), from: .zero, containing: time)
        // 1970-01-01 was a Thursday.
        case .week: return Self.span(of: .seconds(7 * 86_400), from: .seconds(-3 * 86_400), containing: time)
        case .month:
            let month = Timestamp(sinceEpoch: time).month
            return (month.start.sinceEpoch, month.end.sinceEpoch)
        case .every(let length): return Self.span(of: length, from: .zero, containing: time)
        }
    }

    private static func span(
        of length: Duration, from origin: Duration, containing time: Duration
    ) -> (start: Duration, end: Duration) {
        let (whole, passed) = (max(1, length.milliseconds), (time - origin).milliseconds)
        let remainder = passed % whole
        let start = origin + .milliseconds(passed - remainder - (remainder < 0 ? whole : 0))
        return (start, start + .milliseconds(whole))
    }
}

extension Period: FieldScalar {
    /// `day, week, month or a duration from 1m to 366d`
    public static var noun: String { "day, week, month or a duration from 1m to 366d" }

    /// JSON Schema: a word, or a number and a unit.
    public static var schema: JSONValue {
        ["type": "string", "pattern": #"^(day|week|month|[0-9]+(ms|s|m|h|d))$|\$\{"#]
    }

    /// One of the three words, or a duration.
    public static func decode(_ text: String) -> Period? {
        switch text {
        case "day": return .day
        case "week": return .week
        case "month": return .month
        default:
            guard let length = Duration.decode(text), (.seconds(60) ... .seconds(366 * 86_400)).contains(length) else {
                return nil
            }
            return .every(length)
        }
    }

    /// As it would be written.
    var text: String {
        switch self {
        case .day: "day"
        case .week: "week"
        case .month: "month"
        case .every(let length): length.written.string ?? ""
        }
    }

    /// The word, or the duration.
    public var written: JSONValue { .string(text) }
}

extension Duration {
    /// Whole milliseconds, without what is beyond 64 bits.
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(seconds) &* 1_000 &+ Int(attoseconds / 1_000_000_000_000_000)
    }
}
