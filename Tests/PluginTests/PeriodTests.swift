import PatchbayPlugin
import Testing

@testable import CallMinutesQuota

@Suite("Periods of call minutes")
struct PeriodTests {
    @Test(
        "begin by the calendar of UTC, or at multiples of their length",
        arguments: [
            ("day", "2027-01-15T08:00:00Z", "2027-01-15T00:00:00Z", "2027-01-16T00:00:00Z"),
            ("day", "2027-01-15T23:59:59.999Z", "2027-01-15T00:00:00Z", "2027-01-16T00:00:00Z"),
            ("day", "2027-01-16", "2027-01-16T00:00:00Z", "2027-01-17T00:00:00Z"),
            // A Friday, a Sunday, a Monday.
            ("week", "2027-01-15T08:00:00Z", "2027-01-11T00:00:00Z", "2027-01-18T00:00:00Z"),
            ("week", "2027-01-17T23:59:59.999Z", "2027-01-11T00:00:00Z", "2027-01-18T00:00:00Z"),
            ("week", "2027-01-18", "2027-01-18T00:00:00Z", "2027-01-25T00:00:00Z"),
            ("week", "1970-01-01", "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z"),
            ("month", "2027-01-31T23:59:59.999Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
            ("month", "2027-12-31", "2027-12-01T00:00:00Z", "2028-01-01T00:00:00Z"),
            ("24h", "2027-01-15T08:00:00Z", "2027-01-15T00:00:00Z", "2027-01-16T00:00:00Z"),
            ("6h", "2027-01-15T08:00:00Z", "2027-01-15T06:00:00Z", "2027-01-15T12:00:00Z"),
            ("90s", "1970-01-01T00:01:29.999Z", "1970-01-01T00:00:00Z", "1970-01-01T00:01:30Z"),
            ("90s", "1970-01-01T00:01:30Z", "1970-01-01T00:01:30Z", "1970-01-01T00:03:00Z"),
            ("6h", "1969-12-31T23:59:59Z", "1969-12-31T18:00:00Z", "1970-01-01T00:00:00Z"),
        ])
    func bounds(text: String, time: String, start: String, end: String) throws {
        let period = try #require(Period.decode(text))
        let (first, next) = period.containing(try #require(Timestamp.decode(time)).sinceEpoch)
        #expect(Timestamp(sinceEpoch: first).written == .string(start))
        #expect(Timestamp(sinceEpoch: next).written == .string(end))
        #expect(period.written == .string(text == "24h" ? "1d" : text))
        #expect(Period.decode(period.text) == period)
    }

    @Test("are a word or a duration of some length", arguments: ["", "year", "Day", "59s", "0", "367d", "-1h", "1"])
    func bad(text: String) {
        #expect(Period.decode(text) == nil)
    }
}
