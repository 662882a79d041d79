internal import COpenSSL

extension DTLSError {
    /// Empties this thread's OpenSSL error queue into an error; the first entry is the cause.
    static func draining(_ operation: Operation) -> DTLSError {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return .library(operation, code: 0, reason: "no reason given") }
        let text = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            unsafe ERR_error_string_n(code, buffer.baseAddress, buffer.count)
            return unsafe buffer.baseAddress.map { unsafe String(cString: $0) } ?? ""
        }
        return .library(operation, code: UInt(code), reason: text)
    }
}
