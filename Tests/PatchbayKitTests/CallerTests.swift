import Media
import PatchbayPlugin
import Testing
import Wire

@testable import PatchbayKit

@Suite("patchbay call")
struct CallerTests {
    @Test(
        "several calls count up from the run",
        arguments: [
            ("ws://h/api/v1/ws/signaling/1/7", 0, "ws://h/api/v1/ws/signaling/1/7"),
            ("ws://h/t/api/v1/ws/signaling/1/7?x=/9", 2, "ws://h/t/api/v1/ws/signaling/1/9?x=/9"),
            ("ws://h/api/v1/ws/signaling/1/seven", 1, "ws://h/api/v1/ws/signaling/1/seven"),
            ("ws://h/elsewhere", 1, "ws://h/elsewhere"),
        ])
    func runs(url: String, number: Int, expected: String) {
        #expect(Caller.signedIn(url, number) == expected)
    }

    @Test("without a run each call makes one up")
    func madeUp() {
        let url = Caller.signedIn("ws://h/api/v1/ws/signaling/1?a=b", 0)
        #expect(url.hasPrefix("ws://h/api/v1/ws/signaling/1/"))
        #expect(url.hasSuffix("?a=b"))
        #expect(url != Caller.signedIn("ws://h/api/v1/ws/signaling/1?a=b", 0))
    }

    @Test(
        "a gateway on loopback is called from there too, and first",
        arguments: [
            ("http://localhost:8080/", "127.0.0.1"), ("ws://127.0.0.2:1/x", "127.0.0.2"), ("http://[::1]:9/", "::1"),
            ("http://203.0.113.5/", nil), ("http://voice.example.org/", nil), ("ws://acme.test:80/x", "127.0.0.1"),
        ])
    func addresses(url: String, loopback: String?) {
        let names = ["acme.test": "127.0.0.1", "voice.example.org": "203.0.113.5"]
        let addresses = CallCommand.addresses(toCall: url) { name in
            SocketAddress(names[name] ?? name, port: 0).map { [$0] } ?? []
        }.map(\.host)
        let usable = Interfaces.usableAddresses().map(\.host).filter { $0 != loopback }
        #expect(addresses == (loopback.map { [$0] } ?? []) + usable)
    }

    @Test(
        "a page is named as browsers name it",
        arguments: [
            ("https://shop.example", true), ("http://localhost:3000", true), ("http://[::1]:9", true), ("null", true),
            ("capacitor://localhost", true), ("shop.example", false), ("https://shop.example/", false),
            ("https://shop.example/page", false), ("https://a.example, https://b.example", false), ("https://", false),
            ("://shop.example", false), ("https://user@shop.example", false), ("https://bücher.example", false),
            ("https://shop.example\r\nX-API-Key: k", false), ("", false),
        ])
    func origins(text: String, isOne: Bool) {
        #expect(CallCommand.isOrigin(text) == isOne)
    }

    @Test(
        "what does not fit into a header is no API key",
        arguments: [
            ("key_2f1c", true), ("open sesame", true), ("", false), (" key", false), ("key ", false), ("ké", false),
            ("key\r\nOrigin: null", false), ("key\0", false),
        ])
    func keys(text: String, isOne: Bool) {
        #expect(CallCommand.isFieldValue(text) == isOne)
    }

    @Test("times of each call and of all of them are in the figures")
    func figures() {
        let reports = (1...100).map { number in
            var report = CallReport()
            (report.connected, report.setup) = (true, .milliseconds(number * 10))
            (report.connectedAfter, report.firstPacketAfter) = (.milliseconds(number), .milliseconds(number + 1000))
            (report.latency, report.endLatency) = (.microseconds(number * 1500), nil)
            return report
        }
        let summary = CallSummary(reports: reports)
        let first = reports[0].json
        #expect(first["setup_ms"] == 10.0 && first["connected_ms"] == 1.0 && first["first_packet_ms"] == 1001.0)
        #expect(first["latency_ms"] == 1.5 && first["latency_end_ms"] == .null)
        let all = summary.json["summary"]
        #expect(all?["connected"] == 100 && all?["setup_p50_ms"] == 510.0 && all?["setup_p99_ms"] == 1000.0)
        #expect(all?["connected_p50_ms"] == 51.0 && all?["connected_p99_ms"] == 100.0)
        #expect(all?["first_packet_p50_ms"] == 1051.0 && all?["first_packet_p99_ms"] == 1100.0)
        #expect(all?["latency_p50_ms"] == 76.5 && all?["latency_p99_ms"] == 150.0)
        #expect(all?["latency_end_p50_ms"] == .null && all?["latency_end_p99_ms"] == .null)
        let last = summary.text.split(separator: "\n").last ?? ""
        let times = "media after p50 51.0 ms, p99 100.0 ms, first packet after p50 1051.0 ms, p99 1100.0 ms"
        #expect(last.contains(times), "\(last)")
        #expect(!last.contains("at the end"), "\(last)")
    }
}
