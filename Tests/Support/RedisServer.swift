import Foundation
import Glibc
import Synchronization

/// A real redis-server of a test's own, on a free port of loopback, that keeps nothing on disk.
package final class RedisServer: Sendable {
    private static let paths = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"]

    /// Whether there is one to start.
    package static var isInstalled: Bool { path != nil }

    private static var path: String? { paths.first(where: FileManager.default.isExecutableFile) }

    package let port: Int
    private let options: [String]
    private let process = Mutex<Process?>(nil)

    /// Starts one, and waits until it takes connections.
    ///
    /// - Parameters:
    ///   - options: of the command line, beside those about the port and the disk.
    ///   - hasTLS: whether the port takes TLS only, with the certificate that `options` name.
    package init(_ options: [String] = [], hasTLS: Bool = false) async throws {
        port = try freePort()
        let ports = hasTLS ? ["--port", "0", "--tls-port", "\(port)"] : ["--port", "\(port)"]
        self.options = ports + ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp"] + options
        try await start()
    }

    /// Starts it again, after `kill`, with nothing in it.
    package func start() async throws {
        guard let path = Self.path else { throw RedisServerError(description: "there is no redis-server") }
        let log = FileManager.default.temporaryDirectory.appending(path: "redis-\(UUID()).log")
        try Data().write(to: log)
        defer { try? FileManager.default.removeItem(at: log) }
        let child = Process()
        child.executableURL = URL(filePath: path)
        child.arguments = options
        child.standardOutput = try FileHandle(forWritingTo: log)
        try child.run()
        process.withLock { $0 = child }
        for _ in 0..<500 where child.isRunning {
            if canConnect(to: port) { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        kill()
        let said = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        throw RedisServerError(description: "redis-server does not listen on port \(port): \(said.suffix(500))")
    }

    /// Ends it at once.
    package func kill() {
        send(SIGKILL)
        process.withLock { $0?.waitUntilExit() }
    }

    /// Stops it, so that it takes connections and questions and answers none.
    package func pause() {
        send(SIGSTOP)
    }

    /// Lets it go on.
    package func resume() {
        send(SIGCONT)
    }

    /// Whether it was started and not killed since.
    package var isRunning: Bool { process.withLock { $0?.isRunning ?? false } }

    private func send(_ signal: Int32) {
        process.withLock { if let child = $0, child.isRunning { _ = Glibc.kill(child.processIdentifier, signal) } }
    }

    deinit { kill() }
}

package struct RedisServerError: Error, CustomStringConvertible {
    package let description: String
}

/// A TCP port of loopback that nobody has right now.
package func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = loopback(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            unsafe bind(descriptor, address, length) == 0 && getsockname(descriptor, address, &length) == 0
        }
    }
    guard isBound else { throw RedisServerError(description: "no port is free") }
    return Int(UInt16(bigEndian: address.sin_port))
}

private func loopback(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
}

private func canConnect(to port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = loopback(port)
    return unsafe withUnsafeMutablePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}
