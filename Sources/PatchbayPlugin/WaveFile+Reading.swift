internal import Glibc

extension WaveFile {
    /// Reads a regular file of at most 64 MiB.
    ///
    /// - Throws: a ``SettingsFault`` that names the file and says why it cannot be played.
    public init(reading path: String) throws(SettingsFault) {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try readFile(path, limit: 64 << 20)
        } catch {
            throw SettingsFault("cannot play \(path): \(error)")
        }
        do throws(WaveError) {
            self = try WaveFile(parsing: bytes)
        } catch {
            throw SettingsFault("cannot play \(path): \(error)")
        }
    }
}

/// The content of a regular file of at most `limit` bytes.
private func readFile(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
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
private enum FileError: Error, CustomStringConvertible {
    case system(Int32)
    case notAFile
    case tooLarge(bytes: Int, limit: Int)

    var description: String {
        switch self {
        case .system(let number): unsafe String(cString: strerror(number))
        case .notAFile: "it is not a regular file"
        case .tooLarge(let bytes, let limit): "it has \(bytes) bytes, and the limit is \(limit)"
        }
    }
}
