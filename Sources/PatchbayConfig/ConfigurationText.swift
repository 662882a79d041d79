internal import PatchbayPlugin

/// A file of a configuration as it was read, once: it may be a pipe.
package struct ConfigurationText: Sendable {
    /// As it was given.
    package let file: String
    /// What is in it, or why that is not to be had.
    let text: Result<String, FileError>

    /// Reads it. Whatever keeps it from being read is a fault of the configuration.
    package init(reading file: String) {
        self.file = file
        do throws(FileError) {
            text = .success(try readText(file))
        } catch {
            text = .failure(error)
        }
    }

    /// Whether it is a configuration, and no file of tests, by what stands at its top.
    package var isConfiguration: Bool {
        guard case .success(let text) = text else { return false }
        let keys = ["version", "tenants", "tenants_dir"]
        let tree = YAMLTree(withoutByteOrderMark(text), environment: [:])
        if tree.isWellFormed { return keys.contains { tree.root[$0] != nil } }
        return text.split(whereSeparator: \.isNewline).contains { line in keys.contains { line.hasPrefix("\($0):") } }
    }

    /// That it cannot be read.
    var fault: Fault? {
        guard case .failure(let error) = text else { return nil }
        return Fault(file: file, line: 0, column: 0, length: 1, path: "", message: "cannot read it: \(error)")
    }
}

private func readText(_ file: String) throws(FileError) -> String {
    let bytes = try readSmallFile(file, limit: YAMLTree.maximumBytes)
    guard let text = String(validating: bytes, as: UTF8.self) else { throw .notText }
    return text
}

/// Editors of some systems begin a file with a byte order mark, which would count as a column.
func withoutByteOrderMark(_ text: String) -> String {
    text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
}
