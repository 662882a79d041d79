internal import Glibc
internal import PatchbayPlugin

/// Why a file's bytes are not to be had.
enum FileError: Error, CustomStringConvertible {
    /// The number is `errno`.
    case system(Int32)
    case tooLarge(limit: Int)
    case notText

    var description: String {
        switch self {
        case .system(let number): unsafe String(cString: strerror(number))
        case .tooLarge(let limit): "it is larger than \(limit / 1024) KiB"
        case .notText: "it is not UTF-8 text"
        }
    }
}

/// Reads a secret's file, of at most 64 KiB. No pipe: a reload would wait for somebody to write into it.
package func readSecretFile(_ path: String) throws -> [UInt8] {
    try readRegularFile(path, limit: 64 * 1024)
}

/// Reads a file, but no more than `limit` bytes of it: the path may name a device that never ends.
func readSmallFile(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(errno) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: limit + 1)
    var count = 0
    while count < bytes.count {
        let result = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe read(descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
        }
        if result == 0 { break }
        guard result > 0 else {
            if errno == EINTR { continue }
            throw .system(errno)
        }
        count += result
    }
    guard count <= limit else { throw .tooLarge(limit: limit) }
    return Array(bytes[..<count])
}

/// The names in a folder, in order, without hidden ones.
func listFolder(_ path: String) throws(FileError) -> [String] {
    guard let folder = unsafe opendir(path) else { throw .system(errno) }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
            unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
        }
        if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
}
