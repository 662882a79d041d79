import Glibc
import Testing
import WebSocket

/// A port where connections are begun and never made: its queue is full, and nobody takes from it.
private struct FullListener {
    let port: Int
    let sockets: [Int32]

    init() throws {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let sockets = (0..<5).map { _ in socket(AF_INET, kind, 0) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard unsafe bind(sockets[0], address, length) == 0, listen(sockets[0], 0) == 0,
                    unsafe getsockname(sockets[0], address, &length) == 0
                else { return false }
                for filler in sockets.dropFirst() { _ = unsafe connect(filler, address, length) }
                return true
            }
        }
        try #require(isListening)
        port = Int(UInt16(bigEndian: address.sin_port))
        self.sockets = sockets
    }

    func end() {
        for socket in sockets { close(socket) }
    }
}

@Suite("Connecting to a WebSocket server", .timeLimit(.minutes(1)))
struct ConnectingTests {
    @Test("ends in time where no TCP connection comes about, at once when it is cancelled", arguments: [false, true])
    func patience(isCancelled: Bool) async throws {
        let listener = try FullListener()
        defer { listener.end() }
        let begun = ContinuousClock.now
        let connecting = Task {
            try await WebSocketClient.connect(
                url: "ws://127.0.0.1:\(listener.port)/", within: isCancelled ? .seconds(50) : .milliseconds(300))
        }
        try await Task.sleep(for: .milliseconds(100))
        if isCancelled { connecting.cancel() }
        await #expect(throws: (any Error).self) { try await connecting.value }
        #expect(.now - begun < .seconds(5))
    }
}
