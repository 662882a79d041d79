internal import Glibc
internal import PatchbayPlugin

/// All that a part of the configuration depends on: when it is the same after a change, nothing has to be made anew.
///
/// It holds secrets, and shows nothing.
package struct Fingerprint: Sendable, Equatable {
    private var text: String

    /// - Parameter outside: what the part takes from elsewhere.
    init(_ node: SettingsNode?, outside: some Sequence<SettingsReader.Outside> = []) {
        text = ""
        if let node { write(node) }
        for each in outside {
            switch each {
            case .secret(let secret): write(scalar: secret.withValue(\.self))
            case .file(let path): write(scalar: "\(path) \(fileVersion(path))")
            }
        }
    }

    /// Texts go in with their lengths, so that no two trees look the same.
    private mutating func write(scalar: String) {
        text += "\(scalar.utf8.count):\(scalar)"
    }

    private mutating func write(_ node: SettingsNode) {
        switch node.content {
        case .scalar(let scalar): write(scalar: scalar.text)
        case .list(let nodes):
            text += "["
            for node in nodes { write(node) }
            text += "]"
        case .map(let entries):
            text += "{"
            for entry in entries.sorted(by: { $0.name < $1.name }) {
                write(scalar: entry.name)
                write(entry.value)
            }
            text += "}"
        case .invalid: text += "!"
        }
    }
}

extension Fingerprint: CustomStringConvertible, CustomReflectable {
    package var description: String { "<fingerprint>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Which file it is, how long, and from when; the same text for a file that is not there.
private func fileVersion(_ path: String) -> String {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return "" }
    return "\(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec) \(status.st_mtim.tv_nsec)"
}
