/// The name that was probably meant by `name`; nil when none is near enough.
package func closest(to name: String, among candidates: some Sequence<String>) -> String? {
    let written = Array(name.unicodeScalars)
    var best: (name: String, distance: Int)?
    for candidate in candidates {
        let limit = max(1, candidate.unicodeScalars.count / 3)
        guard abs(candidate.unicodeScalars.count - written.count) <= limit else { continue }
        let distance = editDistance(written, Array(candidate.unicodeScalars))
        if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
}

/// The line of help for `closest(to:among:)`.
package func didYouMean(_ name: String, _ candidates: some Sequence<String>) -> String? {
    closest(to: name, among: candidates).map { "did you mean '\($0)'?" }
}

/// Optimal string alignment: insert, delete, replace, and swap neighbours, each one edit.
func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var cost = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
            row.append(cost)
        }
        beforeLast = last
        last = row
    }
    return last[b.count]
}
