/// Whether what goes by this name is a credential, be it a header field, a parameter of a URL or a key: `Authorization`,
/// `X-Api-Key`, `access_token`, `clientSecret`.
package func namesCredential(_ name: String) -> Bool {
    let words = snakeCase(name[...]).split(whereSeparator: { !$0.isLetter && !$0.isNumber })
    guard let last = words.last else { return false }
    if last == "key", let kind = words.dropLast().last, publicKeys.contains(String(kind)) { return false }
    return credentialWords.contains(String(last)) || credentialEndings.contains { last.hasSuffix($0) }
}

/// The last word of a name is one of these,
private let credentialWords: Set = ["key", "cookie", "jwt", "pwd", "sig"]

/// or ends with one of these, as in `accesstoken`.
private let credentialEndings = [
    "accesskey", "apikey", "appkey", "authkey", "authorization", "credential", "credentials", "passwd", "password",
    "secret", "secretkey", "signature", "subscriptionkey", "token",
]

/// Keys that everybody may see.
private let publicKeys: Set = ["idempotency", "public", "publishable", "routing", "site", "sort"]

/// Whether a value stands in the file itself: `Bearer hunter2` does, and so does `${NAME:-hunter2}`. That of
/// `Bearer ${NAME}` is the environment's.
package func isWrittenOut(_ source: Substring) -> Bool {
    !source.isEmpty && !source.contains(/\$\{\w+(?::-)?\}/)
}

/// The credentials among the parameters of a URL, by their names: those that are written out, and those of which some part
/// is.
package func credentials(
    inURL text: String, orPartly: Bool = false
) -> [(name: String, value: Range<String.Index>)] {
    guard text.utf8.contains(UInt8(ascii: "=")) else { return [] }
    let parts = text.split(omittingEmptySubsequences: false, whereSeparator: { "?&#;".contains($0) })
    var found: [(name: String, value: Range<String.Index>)] = []
    for part in parts.dropFirst() {
        guard let equals = part.firstIndex(of: "=") else { continue }
        let name = String(part[..<equals])
        let value = part[equals...].dropFirst()
        // `{call_id}` and the like are each call's own.
        guard namesCredential(name), value.wholeMatch(of: /\{\w+\}/) == nil else { continue }
        let isOfEnvironment = value.isEmpty || value.wholeMatch(of: /\$\{\w+\}/) != nil
        if orPartly ? !isOfEnvironment : isWrittenOut(value) {
            found.append((name: name, value: value.startIndex..<value.endIndex))
        }
    }
    return found
}

/// The credentials among the parameters of a URL as it is asked, for what the other side may say back. What is shorter than
/// six characters would be found in any text.
package func secretParameters(ofURL text: String) -> [Secret] {
    credentials(inURL: text).map { String(text[$0.value]) }.filter { $0.count >= 6 }.map { Secret($0) }
}

/// Where secrets may stand in a URL: a user or a password (RFC 3986 §3.2.1), and parameters that are credentials. In order,
/// and none of them in another.
///
/// Where the authority ends is not looked at: a password with a slash in it is one all the same.
package func secrets(inURL text: String) -> [Range<String.Index>] {
    var ranges = credentials(inURL: text, orPartly: true).map(\.value)
    if let start = text.firstRange(of: "://")?.upperBound, let end = text[start...].lastIndex(of: "@") {
        ranges.append(start..<end)
    }
    return ranges.sorted { $0.lowerBound < $1.lowerBound }.reduce(into: []) { merged, range in
        if let last = merged.last, range.lowerBound <= last.upperBound {
            merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
        } else {
            merged.append(range)
        }
    }
}

extension SettingsNode {
    /// What is a credential in it, by its key or as a parameter of a URL, and is written out.
    package var writtenCredentials: [SettingsNode] {
        switch content {
        case .scalar(let scalar): credentials(inURL: scalar.source).isEmpty ? [] : [self]
        case .list(let nodes): nodes.flatMap(\.writtenCredentials)
        case .map(let entries):
            entries.flatMap { entry -> [SettingsNode] in
                if case .scalar(let scalar) = entry.value.content, namesCredential(entry.name) {
                    return isWrittenOut(scalar.source[...]) ? [entry.value] : []
                }
                return entry.value.writtenCredentials
            }
        case .invalid: []
        }
    }
}

extension SettingsReader {
    /// Reports a credential that is written out among the parameters of a URL; whether there is one.
    ///
    /// - Parameter settings: those that take it instead.
    package func refusesCredential(inURL node: SettingsNode, settings: String? = nil) -> Bool {
        guard case .scalar(let scalar) = node.content, scalar.source.contains("://"),
            let name = credentials(inURL: scalar.source).first?.name
        else { return false }
        let variable = "\(printable(name))=${NAME}"
        fault(
            at: node, "'\(printable(name))' is a secret, which does not stand here",
            help: settings.map {
                "put it into \($0), as { env: NAME } or { file: PATH }; if it has to be here, write \(variable)"
            } ?? "write \(variable), and have the environment say it")
        return true
    }
}
