extension String {
    /// The same of its first scalars, with `…` where there are more. One character may have any number of scalars.
    func oneLine(atMost count: Int) -> String {
        let start = unicodeScalars.prefix(count)
        return String(start).oneLine() + (start.endIndex < unicodeScalars.endIndex ? "…" : "")
    }

    /// As a terminal may have it: control and format characters, those that turn text round among them, and separators of
    /// lines, as `\u{a}`; within quotes `\"` and `\\` besides.
    func oneLine(isQuoted: Bool = false) -> String {
        guard isQuoted || unicodeScalars.contains(where: \.isUnprintable) else { return self }
        return unicodeScalars.reduce(into: "") { line, scalar in
            if scalar.isUnprintable {
                line += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                if isQuoted, scalar == "\"" || scalar == "\\" { line += "\\" }
                line.unicodeScalars.append(scalar)
            }
        }
    }
}

extension Unicode.Scalar {
    fileprivate var isUnprintable: Bool {
        if isASCII { return value < 0x20 || value == 0x7f }
        return switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
