import Redis
import Testing

@Suite("Addresses of Redis, and how long to wait for it")
struct RedisURLTests {
    static let addresses: [(String, String, Int, Int, Bool)] = [
        ("redis://localhost", "localhost", 6379, 0, false), ("redis://localhost/", "localhost", 6379, 0, false),
        ("redis://10.0.0.9:6380/3", "10.0.0.9", 6380, 3, false),
        ("rediss://cache.example.org", "cache.example.org", 6379, 0, true),
        ("redis://[::1]:7000/0", "::1", 7000, 0, false), ("redis://[2001:db8::1]", "2001:db8::1", 6379, 0, false),
    ]

    @Test("host, port, database and whether there is TLS", arguments: addresses)
    func good(text: String, host: String, port: Int, database: Int, isSecure: Bool) throws {
        let url = try #require(RedisURL(text))
        #expect(url.host == host && url.port == port && url.database == database && url.isSecure == isSecure)
    }

    @Test(
        "anything else is none",
        arguments: [
            "", "redis:", "redis://", "redis:///1", "http://a", "redis://a:0", "redis://a:65536", "redis://a:x",
            "redis://a/x", "redis://a/-1", "redis://a/70000", "redis://a/1/2", "redis://a?db=1", "redis://a#1",
            "redis://:secret@a", "redis://u:p@a/1", "redis://a b", "redis://ä", "redis://[::1", "REDIS://a",
            "redis://a\r\nb",
        ])
    func bad(text: String) {
        #expect(RedisURL(text) == nil)
    }

    @Test("an IPv6 address is shown in brackets")
    func shown() {
        #expect(RedisURL("redis://[::1]:7000")?.server == "[::1]:7000")
        #expect(RedisURL("redis://a")?.server == "a:6379")
    }

    @Test("an attempt to connect comes soon at first, then ever later, and never at one time for all")
    func backoff() {
        let backoff = Backoff()
        #expect(backoff.delay(failures: 0, random: 0) == .zero)
        #expect(backoff.delay(failures: 0, random: 1) == .milliseconds(50))
        #expect(backoff.delay(failures: 1, random: 0) == .milliseconds(50))
        #expect(backoff.delay(failures: 1, random: 1) == .milliseconds(100))
        #expect(backoff.delay(failures: 3, random: 0.5) == .milliseconds(300))
        for failures in [6, 40, 1000, .max] {
            #expect(backoff.delay(failures: failures, random: 0) == .seconds(1))
            #expect(backoff.delay(failures: failures, random: 1) == .seconds(2))
        }
    }
}
