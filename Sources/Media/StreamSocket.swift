internal import CSocket
import Glibc
import Wire

/// A TCP connection that never blocks. What the kernel does not take waits.
@safe final class StreamSocket {
    let descriptor: Int32
    private var waiting: [UInt8] = []
    private var isReleased = false
    /// Why the connection is over; nil while it is not.
    private(set) var failure: String?

    /// Takes over a descriptor.
    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Starts to connect. What is sent meanwhile waits.
    convenience init(from local: SocketAddress, to remote: SocketAddress) throws(MediaError) {
        var (from, to) = (csocket_address(local), csocket_address(remote))
        let descriptor = unsafe csocket_connect(&from, &to)
        guard descriptor >= 0 else { throw .connect(remote, errno: -descriptor) }
        self.init(descriptor: descriptor)
    }

    deinit {
        if !isReleased { close(descriptor) }
    }

    /// Gives the descriptor away.
    func release() -> Int32 {
        isReleased = true
        return descriptor
    }

    /// Whether it is to be told when it can write.
    var wantsToWrite: Bool { !waiting.isEmpty && failure == nil }

    /// How many bytes wait: sound that would have to wait behind too many is better dropped, as a network does.
    var backlog: Int { waiting.count }

    /// Sends bytes, or lets them wait.
    func send(_ message: Span<UInt8>) {
        guard failure == nil else { return }
        if waiting.isEmpty {
            let written = unsafe message.withUnsafeBufferPointer { unsafe write($0) }
            for index in written..<message.count { waiting.append(message[index]) }
        } else {
            for index in message.indices { waiting.append(message[index]) }
        }
    }

    /// Writes what waits, as far as the kernel takes it.
    func flush() {
        guard !waiting.isEmpty else { return }
        let written = unsafe waiting.withUnsafeBufferPointer { unsafe write($0) }
        waiting.removeFirst(written)
    }

    /// Reads what there is, at most as much as `buffer` holds. 0 when there is nothing, or the connection is over.
    func read(into buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
        guard failure == nil else { return 0 }
        let count = unsafe csocket_read(descriptor, buffer.baseAddress, UInt32(clamping: buffer.count))
        if count < 0 { fail(-count) }
        return max(0, Int(count))
    }

    private func write(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        let count = unsafe csocket_write(descriptor, bytes.baseAddress, UInt32(clamping: bytes.count))
        if count < 0 { fail(-count) }
        return max(0, Int(count))
    }

    private func fail(_ code: Int32) {
        failure = code == EPIPE ? "the connection was closed" : unsafe String(cString: strerror(code))
    }
}

/// Tells which of many descriptors are ready, as one descriptor that can be waited for.
final class Poller {
    let descriptor: Int32
    private var ready = [Int32](repeating: 0, count: 64)

    init() throws(MediaError) {
        descriptor = csocket_poller()
        guard descriptor >= 0 else { throw .thread(errno: -descriptor) }
    }

    deinit {
        close(descriptor)
    }

    /// Watches, or changes what is waited for. What is closed is not watched any more.
    func watch(_ other: Int32, writing: Bool = false) {
        csocket_watch(descriptor, other, writing)
    }

    func unwatch(_ other: Int32) {
        csocket_unwatch(descriptor, other)
    }

    /// Those that are ready now.
    func forEachReady(_ body: (Int32) -> Void) {
        let count = unsafe ready.withUnsafeMutableBufferPointer {
            unsafe csocket_ready(descriptor, $0.baseAddress, Int32($0.count))
        }
        for index in 0..<Int(count) { body(ready[index]) }
    }
}
