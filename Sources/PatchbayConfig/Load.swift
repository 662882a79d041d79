package import PatchbayPlugin

extension GatewayConfiguration {
    /// Reads and checks a configuration file.
    ///
    /// - Parameter inspect: looks at what can be decoded, where there are faults already.
    /// - Throws: all faults of all files.
    package static func load(
        file: String, environment: [String: String], catalogue: PluginCatalogue,
        inspect: Inspection = { _, _ in [] }
    ) throws(Faults) -> GatewayConfiguration {
        try load(
            ConfigurationText(reading: file), environment: environment, catalogue: catalogue, inspect: inspect)
    }

    /// Checks a configuration file that was read.
    ///
    /// - Parameters:
    ///   - tests: files with more tests.
    ///   - inspect: looks at what can be decoded, where there are faults already.
    /// - Throws: all faults of all files.
    package static func load(
        _ first: ConfigurationText, tests: [ConfigurationText] = [], environment: [String: String],
        catalogue: PluginCatalogue, inspect: Inspection = { _, _ in [] }
    ) throws(Faults) -> GatewayConfiguration {
        let unread = ([first] + tests).compactMap(\.fault)
        guard case .success(let text) = first.text else { throw Faults(unread) }
        var more: [(file: String, text: String)] = []
        for test in tests {
            if case .success(let text) = test.text { more.append((file: test.file, text: text)) }
        }
        let configuration: GatewayConfiguration
        do throws(Faults) {
            configuration = try load(
                text: text, file: first.file, tests: more[...], environment: environment, catalogue: catalogue,
                inspect: inspect)
        } catch {
            throw Faults(error.faults + unread)
        }
        guard unread.isEmpty else { throw Faults(unread) }
        return configuration
    }

    /// Checks a configuration's text. `file` is what faults call it, and relative paths start from its folder.
    ///
    /// - Parameters:
    ///   - tests: files with more tests, likewise.
    ///   - inspect: looks at what can be decoded, where there are faults already. Whoever makes a configuration's instances
    ///     finds what there is to say of one without.
    /// - Throws: all faults of all of them.
    package static func load(
        text: String, file: String = "config.yaml", tests moreTests: ArraySlice<(file: String, text: String)> = [],
        environment: [String: String], readFile: @escaping (String) throws -> [UInt8] = readSecretFile,
        catalogue: PluginCatalogue, inspect: Inspection = { _, _ in [] }
    ) throws(Faults) -> GatewayConfiguration {
        let reader = SettingsReader(environment: environment, folder: folder(of: file), readFile: readFile)
        var files = ConfigurationFiles(environment: environment)
        guard let tree = files.read(text, file: file) else {
            throw Faults(files.brokenFaults(secretNames(catalogue.values.joined().map(\.settings) + [TestCase.self])))
        }

        // What is fine is decoded even when its neighbours are not, and the checks go on with that.
        let document = Document()
        let isComplete = reader.fill(document.fields, from: tree)
        let fixed = fixedParts(of: tree, secrets: reader.outside.filter(\.isSecret))
        let root = files.addingTenants(from: document.tenantsDir, to: tree, reader)
        var checker = Checker(catalogue, reader, file: file)
        checker.decodeInstances(root)
        let tenants = checker.tenants(root)
        checker.check(document.media, root)
        checker.checkICEServers(root)
        let names = (root["tenants"]?.names ?? []) + files.brokenTenants
        var tests = checker.tests(root["tests"], tenants: names, files.sources)
        var readers = [reader]
        for (file, text) in moreTests {
            checker.reader = SettingsReader(environment: environment, folder: folder(of: file), readFile: readFile)
            readers.append(checker.reader)
            guard let tree = files.read(text, file: file, secretNames: secretNames([TestCase.self])) else { continue }
            _ = checker.reader.fill(TestDocument().fields, from: tree)
            tests += checker.tests(tree["tests"], tenants: names, files.sources)
        }

        let shown = readers.reduce(into: Set<SourceRange>()) { $0.formUnion($1.shown) }
        files.sources.hide(files.scalars.filter { !shown.contains($0) })
        let problems = files.problems + readers.flatMap(\.problems)
        guard problems.isEmpty, isComplete else {
            throw Faults((problems + inspect(checker.instances, checker.uses)).map(files.sources.fault))
        }
        return GatewayConfiguration(
            server: document.server, media: document.media, iceServers: document.iceServers,
            instances: checker.instances, tenants: tenants, tests: tests, uses: checker.uses,
            oddities: checker.oddities, fixed: fixed, sources: files.sources)
    }

    /// Where a file's relative paths start from; empty for the working directory.
    private static func folder(of file: String) -> String {
        guard let slash = file.lastIndex(of: "/") else { return "" }
        return slash == file.startIndex ? "/" : String(file[..<slash])
    }

    /// Sockets, and what the media engine was made with.
    ///
    /// - Parameter secrets: theirs, which only `ice_servers` have.
    private static func fixedParts(
        of root: SettingsNode, secrets: [SettingsReader.Outside]
    ) -> [String: Fingerprint] {
        var parts = ["ice_servers": Fingerprint(root["ice_servers"], outside: secrets)]
        for name in ["listen", "admin"] { parts["server.\(name)"] = Fingerprint(root["server"]?[name]) }
        if case .map(let entries)? = root["media"]?.content {
            for entry in entries { parts["media.\(entry.name)"] = Fingerprint(entry.value) }
        }
        return parts
    }
}

extension SettingsNode {
    /// The keys of a map.
    fileprivate var names: [String] {
        if case .map(let entries) = content { entries.map(\.name) } else { [] }
    }
}

/// Decodes one plugin's settings, as they would stand below its `type`, from YAML text.
///
/// - Throws: all its faults.
package func decodeSettings<Settings: PluginSettings>(
    _ type: Settings.Type, yaml: String, environment: [String: String] = [:],
    readFile: @escaping (String) throws -> [UInt8] = readSecretFile
) throws(Faults) -> Settings {
    let reader = SettingsReader(environment: environment, readFile: readFile)
    let tree = YAMLTree(yaml, environment: environment)
    var source = Source(file: "settings.yaml", text: yaml)
    guard tree.isWellFormed else {
        source.hideValues(of: secretNames([Settings.self]))
        throw Faults(tree.problems.map(source.fault))
    }
    let settings = Settings.read(tree.root, reader)
    source.hide(tree.scalars.filter { !reader.shown.contains($0) })
    let problems = tree.problems + reader.problems
    guard problems.isEmpty, let settings else { throw Faults(problems.map(source.fault)) }
    return settings
}

/// The names under which a secret may stand.
private func secretNames(_ settings: [any PluginSettings.Type]) -> Set<String> {
    func names(_ fields: [NamedField]) -> [String] {
        fields.filter(\.field.isSecret).flatMap { [$0.name] + names($0.field.nested) }
    }
    return Set(settings.flatMap { names($0.init().fields) } + ["secret", "password"])
}
