internal import Glibc

/// The content of a regular file of at most `limit` bytes. Never waits, as a pipe or a device would have it.
package func readRegularFile(_ path: String, limit: Int) throws(RegularFileError) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(errno) }
    defer { close(descriptor) }

    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw .system(errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .notAFile }
    guard status.st_size <= limit else { throw .tooLarge(bytes: Int(status.st_size), limit: limit) }

    var content = [UInt8](repeating: 0, count: Int(status.st_size))
    var filled = 0
    while filled < content.count {
        let count = unsafe content.withUnsafeMutableBytes { buffer in
            unsafe read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
        }
        guard count >= 0 else { throw .system(errno) }
        if count == 0 { break }
        filled += count
    }
    return Array(content[..<filled])
}

/// Why a file cannot be read.
package enum RegularFileError: Error, CustomStringConvertible {
    /// The number is `errno`.
    case system(Int32)
    /// It is a folder, a pipe or a device.
    case notAFile
    /// It is larger than what is asked for can be.
    case tooLarge(bytes: Int, limit: Int)

    /// The end of a sentence that names the file.
    package var description: String {
        switch self {
        case .system(let number): unsafe String(cString: strerror(number))
        case .notAFile: "it is not a regular file"
        case .tooLarge(let bytes, let limit): "it has \(bytes) bytes, and the limit is \(limit)"
        }
    }
}
