internal import Glibc

/// Makes the file at `path`, and the folders above it, where they are not there yet, and sees that the file can be
/// written.
///
/// Only the gateway's own user may read a new file: sessions are in it.
func createFile(_ path: String) throws(SystemError) {
    for (index, character) in zip(path.indices, path) where character == "/" && index > path.startIndex {
        guard unsafe mkdir(String(path[..<index]), 0o755) == 0 || errno == EEXIST else {
            throw SystemError(number: errno)
        }
    }
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw SystemError(number: errno) }
    close(descriptor)
}

/// What the operating system said.
struct SystemError: Error, CustomStringConvertible {
    let number: Int32

    var description: String { unsafe String(cString: strerror(number)) }
}

/// Why the store cannot be asked.
enum StoreError: Error, CustomStringConvertible {
    case cannotOpen(String, reason: String)
    case notOpen(String)

    var description: String {
        switch self {
        case .cannotOpen(let path, let reason): "cannot open the SQLite file \(path): \(reason)"
        case .notOpen(let path): "the SQLite file \(path) is not open"
        }
    }
}
