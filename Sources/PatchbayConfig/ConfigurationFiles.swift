internal import PatchbayPlugin

/// The files of one configuration as they are read: the first, and those of a folder of tenants.
struct ConfigurationFiles {
    private static let maximumTenants = 10_000

    var sources = Sources()
    /// Tenants whose files are no YAML, or cannot be read.
    private(set) var brokenTenants: [String] = []
    /// What is wrong with them as YAML.
    private(set) var problems: [SettingsProblem] = []
    /// Where values stand, read or not.
    private(set) var scalars: [SourceRange] = []
    private let environment: [String: String]

    init(environment: [String: String]) {
        self.environment = environment
    }

    /// Reads one more file; nil when it is no YAML.
    ///
    /// - Parameter secretNames: the keys behind which a secret may stand, for a file that may hold some and is no YAML.
    mutating func read(
        _ text: String, file: String, path: SettingsPath = .root, secretNames: Set<String> = []
    ) -> SettingsNode? {
        let text = withoutByteOrderMark(text)
        let number = sources.next
        let tree = YAMLTree(text, environment: environment, file: number, path: path)
        sources.add(Source(file: file, text: text))
        if !tree.isWellFormed { sources.hideValues(of: secretNames, in: number) }
        problems += tree.problems
        scalars += tree.scalars
        return tree.isWellFormed ? tree.root : nil
    }

    /// The faults of a first file that is no YAML, in which nobody knows what is a secret.
    ///
    /// - Parameter secretNames: the keys behind which one may stand.
    func brokenFaults(_ secretNames: Set<String>) -> [Fault] {
        guard var source = sources.files.first else { return [] }
        source.hideValues(of: secretNames)
        return problems.map(source.fault)
    }

    /// The configuration with a folder's files among its tenants.
    mutating func addingTenants(
        from folder: FileReference?, to root: SettingsNode, _ reader: SettingsReader
    ) -> SettingsNode {
        guard case .map(var entries) = root.content else { return root }
        guard let folder, let node = root["tenants_dir"] else {
            if root["tenants"] == nil, root["tenants_dir"] == nil {
                reader.report(
                    SettingsProblem(
                        range: root.anchor, path: root.path, message: "missing key 'tenants' (Who is served what)",
                        help: "it takes keys and values"))
            }
            return root
        }
        var tenants: [SettingsNode.Entry] = []
        if case .map(let written)? = root["tenants"]?.content { tenants = written }
        let inFile = Dictionary(tenants.map { ($0.name, $0.range) }) { first, _ in first }
        for file in names(in: folder, node, reader) {
            let name = String(file.dropLast(5))
            guard let value = tenant(name, in: "\(folder.path)/\(file)", node, reader) else {
                brokenTenants.append(name)
                continue
            }
            if let first = inFile[name] {
                let place = "\(sources.file(of: first)):\(first.line + 1)"
                reader.fault(at: value, "there is a tenant '\(printable(name))' in \(place), too")
            } else {
                tenants.append(SettingsNode.Entry(name: name, range: value.anchor, value: value))
            }
        }
        let all = SettingsNode(
            content: .map(tenants), range: root["tenants"]?.range ?? node.range,
            anchor: root["tenants"]?.anchor ?? node.anchor, path: .key(.root, "tenants"))
        entries.removeAll { $0.name == "tenants" }
        entries.append(SettingsNode.Entry(name: "tenants", range: all.anchor, value: all))
        return SettingsNode(content: .map(entries), range: root.range, anchor: root.anchor, path: root.path)
    }

    private func names(in folder: FileReference, _ node: SettingsNode, _ reader: SettingsReader) -> [String] {
        do throws(FileError) {
            let all = try listFolder(folder.path)
            for name in all where !name.hasSuffix(".yaml") {
                guard let dot = name.lastIndex(of: "."), [".yml", ".yaml"].contains(name[dot...].lowercased()) else {
                    continue
                }
                let better = printable("\(name[..<dot]).yaml")
                reader.fault(at: node, "'\(printable(name))' in it is no tenant", help: "rename it to \(better)")
            }
            let names = all.filter { $0.hasSuffix(".yaml") && $0.utf8.count > 5 }
            guard names.count <= Self.maximumTenants else {
                reader.fault(at: node, "there are over \(Self.maximumTenants) files in it")
                return []
            }
            return names
        } catch {
            reader.fault(at: node, "cannot read the folder '\(printable(folder.path))': \(error)")
            return []
        }
    }

    private mutating func tenant(
        _ name: String, in file: String, _ node: SettingsNode, _ reader: SettingsReader
    ) -> SettingsNode? {
        do {
            let bytes = try readRegularFile(file, limit: YAMLTree.maximumBytes)
            guard let text = String(validating: bytes, as: UTF8.self) else { throw FileError.notText }
            return read(text, file: file, path: .key(.key(.root, "tenants"), name)).map { unwrapped($0, name, reader) }
        } catch {
            reader.fault(at: node, "cannot read '\(printable(file))': \(error)")
            return nil
        }
    }

    /// The tenant in its file. Where it stands below the keys that lead to it in the first file, that is told, and it is read
    /// all the same.
    private func unwrapped(_ node: SettingsNode, _ name: String, _ reader: SettingsReader) -> SettingsNode {
        var inner = node
        var keys: [SettingsNode.Entry] = []
        if case .map(let entries) = inner.content, let all = entries.first(where: { $0.name == "tenants" }) {
            keys.append(all)
            inner = all.value
        }
        var rest = "; each tenant has a file of its own"
        // A tenant may be called as one of its settings is.
        if case .map(let entries) = inner.content, let only = entries.first, entries.count == 1,
            case .map = only.value.content,
            !keys.isEmpty || only.name == name && !TenantSettings().fields.contains(where: { $0.name == name })
        {
            keys.append(only)
            inner = only.value
            rest = ", and begin with what is below"
        } else {
            // Nobody knows which of several it is.
            inner.content = .invalid
        }
        guard let outermost = keys.first else { return node }
        let levels = keys.map { "`\(printable($0.name)):`" }.joined(separator: " and ")
        reader.report(
            SettingsProblem(
                range: outermost.range, path: node.path,
                message: "a tenant's own file begins with what would stand under tenants.\(printable(name))",
                help: "leave out \(levels)\(rest)"))
        return inner
    }
}
