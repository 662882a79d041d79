import PatchbayPlugin
import Testing

@Suite("Points in time, RFC 3339")
struct TimestampTests {
    @Test(
        "are read from a date or a time with its zone, and written in UTC",
        arguments: [
            ("1970-01-01", 0, "1970-01-01T00:00:00Z"),
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("1985-04-12T23:20:50.52Z", 482_196_050_520, "1985-04-12T23:20:50.52Z"),
            ("1996-12-19T16:39:57-08:00", 851_042_397_000, "1996-12-20T00:39:57Z"),
            ("1990-12-31T23:59:60Z", 662_688_000_000, "1991-01-01T00:00:00Z"),
            ("1937-01-01T12:00:27.87+00:20", -1_041_337_172_130, "1937-01-01T11:40:27.87Z"),
            ("2000-02-29", 951_782_400_000, "2000-02-29T00:00:00Z"),
            ("2024-02-29t12:00:00z", 1_709_208_000_000, "2024-02-29T12:00:00Z"),
            ("2024-03-01 00:00:00+23:59", 1_709_164_860_000, "2024-02-29T00:01:00Z"),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000, "9999-12-31T23:59:59Z"),
            ("0000-01-01", -62_167_219_200_000, "0000-01-01T00:00:00Z"),
            ("0000-02-29", -62_162_121_600_000, "0000-02-29T00:00:00Z"),
            ("2027-01-31T12:00:00.0010000009Z", 1_801_396_800_001, "2027-01-31T12:00:00.001Z"),
        ])
    func good(text: String, milliseconds: Int, written: String) {
        let time = Timestamp.decode(text)
        #expect(time?.sinceEpoch == .milliseconds(milliseconds))
        #expect(time?.written == .string(written))
        #expect(Timestamp.decode(written) == time)
    }

    @Test(
        "are refused in any other form",
        arguments: [
            "", "today", "2027", "2027-1-31", "27-01-31", "2027-13-01", "2027-00-01", "2027-01-00", "2027-01-32",
            "2027-02-29", "1900-02-29", "2027-04-31", "2027-01-31T12:00", "2027-01-31T12:00:00",
            "2027-01-31T24:00:00Z", "2027-01-31T12:60:00Z", "2027-01-31T12:00:61Z", "2027-01-31T12:00:00+24:00",
            "2027-01-31T12:00:00+0100", "2027-01-31T12:00:00.Z", "2027-01-31T12:00:00Zulu", " 2027-01-31",
            "2027-01-31\n", "٢٠٢٧-٠١-٣١", "-001-01-01", "1800000000",
        ])
    func bad(text: String) {
        #expect(Timestamp.decode(text) == nil)
    }

    @Test(
        "are shown in UTC, a day's first moment as its date",
        arguments: [
            ("2026-01-31", "2026-01-31"), ("2026-01-31T00:00:00Z", "2026-01-31"),
            ("2026-01-31T00:00:01Z", "2026-01-31T00:00:01Z"), ("2026-01-31T00:00:00.5Z", "2026-01-31T00:00:00.5Z"),
            ("2026-01-31T02:00:00+02:00", "2026-01-31"), ("2026-01-31T00:00:00+02:00", "2026-01-30T22:00:00Z"),
        ])
    func shown(text: String, description: String) {
        #expect(Timestamp.decode(text)?.description == description)
    }

    @Test("every day from 1890 to 2110 is written after the one before, and each month comes back")
    func days() throws {
        var previous = "1890-00"
        for day in -29_219..<51_499 {
            let time = Timestamp(sinceEpoch: .seconds(day * 86_400))
            let text = try #require(time.written.string)
            #expect(text > previous)
            if !text.hasPrefix(previous.prefix(7)) {
                #expect(text.hasSuffix("-01T00:00:00Z") && Timestamp.decode(String(text.prefix(10))) == time)
            }
            previous = text
        }
        #expect(previous == "2110-12-31T00:00:00Z")
    }

    @Test(
        "have a month, from its first moment to the next one's",
        arguments: [
            ("2027-01-01", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
            ("2027-01-31T23:59:59.999Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
            ("2027-02-28T12:00:00Z", "2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"),
            ("2028-02-29", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            ("2027-12-31", "2027-12-01T00:00:00Z", "2028-01-01T00:00:00Z"),
            ("2027-06-01T00:30:00+02:00", "2027-05-01T00:00:00Z", "2027-06-01T00:00:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ])
    func month(text: String, start: String, end: String) throws {
        let month = try #require(Timestamp.decode(text)).month
        #expect(month.start.written == .string(start))
        #expect(month.end.written == .string(end))
    }

    @Test("are ordered by time")
    func order() throws {
        let early = try #require(Timestamp.decode("2027-01-31T12:00:00+02:00"))
        let late = try #require(Timestamp.decode("2027-01-31T11:00:00Z"))
        #expect(early < late && !(late < early))
    }

    @Test("even those that no text stands for can be written", arguments: [Int.min, .max])
    func extremes(seconds: Int) {
        #expect(Timestamp(sinceEpoch: .seconds(seconds)).written.string?.hasSuffix("Z") == true)
        _ = Timestamp(sinceEpoch: .seconds(seconds)).month
    }
}
