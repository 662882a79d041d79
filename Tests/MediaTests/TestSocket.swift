import Glibc
import Wire

/// A socket of a stranger on loopback.
final class TestSocket {
    private let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)

    deinit {
        close(descriptor)
    }

    /// Binds it; the port, or nil when that is taken.
    func bind(port: UInt16 = 0) -> UInt16? {
        var address = Self.native(port)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe Glibc.bind(descriptor, $0, size) }
        }
        guard code == 0 else { return nil }
        var length = size
        unsafe withUnsafeMutablePointer(to: &address) {
            _ = unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &length)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    func send(_ bytes: [UInt8], to port: UInt16) {
        var address = Self.native(port)
        unsafe withUnsafePointer(to: &address) {
            _ = unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe sendto(descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// A datagram that came, if any.
    func receive() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 2048)
        let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count > 0 ? Array(buffer.prefix(count)) : nil
    }

    /// The same, and the port that it came from.
    func receiveWithSource() -> (bytes: [UInt8], port: UInt16)? {
        var buffer = [UInt8](repeating: 0, count: 2048)
        var source = Self.native(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = unsafe withUnsafeMutablePointer(to: &source) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe recvfrom(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT), $0, &length)
            }
        }
        return count > 0 ? (Array(buffer.prefix(count)), UInt16(bigEndian: source.sin_port)) : nil
    }

    private static func native(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }
}

/// How many files this process has open, and how many threads called "media".
func openFiles() -> Int { entries(of: "/proc/self/fd").count }

func mediaThreads() -> Int {
    entries(of: "/proc/self/task").count { name in
        guard let file = unsafe fopen("/proc/self/task/\(name)/comm", "r") else { return false }
        defer { unsafe fclose(file) }
        var line = [CChar](repeating: 0, count: 32)
        guard unsafe fgets(&line, 32, file) != nil else { return false }
        return line.starts(with: [109, 101, 100, 105, 97, 10])
    }
}

private func entries(of path: String) -> [String] {
    guard let folder = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
            unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
        }
        if !name.hasPrefix(".") { names.append(name) }
    }
    return names
}
