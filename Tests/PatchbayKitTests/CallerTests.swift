import Testing

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
}
