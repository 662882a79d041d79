internal import PatchbayPlugin

/// Decodes what only the catalogue knows the types of, and looks at what one setting says about another.
struct Checker {
    let catalogue: PluginCatalogue
    /// The first, as it was given.
    let file: String
    var reader: SettingsReader
    var instances: GatewayConfiguration.Instances = [:]
    var declared: [PluginKind: Set<String>] = [:]
    var uses = GatewayConfiguration.Uses()
    /// What passes, though nobody would want it.
    var oddities: [SettingsProblem] = []

    init(_ catalogue: PluginCatalogue, _ reader: SettingsReader, file: String) {
        self.catalogue = catalogue
        self.file = file
        self.reader = reader
    }

    /// Decodes all instances. `root` is read rather than the document, which is not there when any of it is faulty.
    mutating func decodeInstances(_ root: SettingsNode) {
        for kind in PluginKind.allCases {
            guard case .map(let entries)? = root[kind.section]?.content else { continue }
            for entry in entries {
                declared[kind, default: []].insert(entry.name)
                checkName(entry)
                if kind == .auth, entry.name == EventsChoice.anonymous {
                    reader.report(
                        SettingsProblem(
                            range: entry.range, path: entry.value.path,
                            message: "'\(entry.name)' stands for callers whom nobody knows",
                            help: "give the instance another name"))
                }
                if let instance = instance(kind, entry) {
                    instances[kind, default: [:]][entry.name] = instance
                    warn(of: instance, entry)
                }
            }
        }
        for node in reader.storeReferences {
            if case .scalar(let scalar) = node.content { check(Reference(name: scalar.text, node: node), .store) }
        }
    }

    private mutating func warn(of instance: GatewayConfiguration.PluginInstance, _ entry: SettingsNode.Entry) {
        let isBuiltIn = (catalogue[instance.kind] ?? []).contains { $0.isPredeclared && $0.type == instance.name }
        if isBuiltIn, instance.type != instance.name {
            oddities.append(
                SettingsProblem(
                    range: entry.range, path: entry.value.path,
                    message: "it takes the place of the built-in '\(instance.name)', and is of type \(instance.type)",
                    help: "give it another name"))
        }
        let limit = instance.settings.fields.first { $0.name == "limit" }?.field.written
        if instance.kind == .quota, limit == JSONValue.integer(0), let node = entry.value["limit"] {
            oddities.append(
                SettingsProblem(range: node.range, path: node.path, message: "a limit of 0 lets no call in"))
        }
    }

    /// Warns of names that a list has twice.
    mutating func warnOfRepeats(_ references: [Reference]) {
        var seen: Set<String> = []
        for reference in references where !seen.insert(reference.name).inserted {
            let message = "'\(printable(reference.name))' is in the list already"
            if let oddity = reference.problem(message, help: "leave it out") { oddities.append(oddity) }
        }
    }

    func checkName(_ entry: SettingsNode.Entry) {
        let isPlain = entry.name.utf8.allSatisfy { byte in
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
        }
        guard !isPlain || entry.name.isEmpty else { return }
        reader.report(
            SettingsProblem(
                range: entry.range, path: entry.value.path, message: "'\(printable(entry.name))' is no name",
                help: "a name is made of letters, digits, _ and -"))
    }

    private func instance(_ kind: PluginKind, _ entry: SettingsNode.Entry) -> GatewayConfiguration.PluginInstance? {
        let plugins = catalogue[kind] ?? []
        let types = plugins.map(\.type)
        let builtIn = "built in: " + (types.isEmpty ? "none" : types.sorted().joined(separator: ", "))
        guard let typeNode = entry.value["type"], let plugin = plugin(kind, typeNode, plugins, builtIn) else {
            if entry.value["type"] == nil { missingType(entry, builtIn) }
            return nil
        }
        let (host, settings) = (kind.hostSettings, plugin.settings.init())
        let (storesBefore, outsideBefore) = (reader.storeReferences.count, reader.outside.count)
        guard reader.fill(host.fields + settings.fields, from: entry.value) else { return nil }
        let stores = reader.storeReferences.dropFirst(storesBefore).compactMap { node in
            if case .scalar(let scalar) = node.content { scalar.text } else { nil }
        }
        return GatewayConfiguration.PluginInstance(
            kind: kind, name: entry.name, type: plugin.type, settings: settings, stores: stores,
            onUnavailable: (host as? QuotaInstanceSettings)?.onUnavailable ?? .deny,
            fingerprint: Fingerprint(entry.value, outside: reader.outside.dropFirst(outsideBefore)), node: entry.value)
    }

    private func plugin(
        _ kind: PluginKind, _ node: SettingsNode, _ plugins: [PluginDescription], _ builtIn: String
    ) -> PluginDescription? {
        guard let type = reader.text(of: node, expected: "the name of a plugin") else { return nil }
        if let plugin = plugins.first(where: { $0.type == type }) { return plugin }
        let message = "no \(kind.rawValue) plugin is called '\(printable(type))' in this build; \(builtIn)"
        reader.fault(at: node, message, help: didYouMean(type, plugins.map(\.type)))
        return nil
    }

    private func missingType(_ entry: SettingsNode.Entry, _ builtIn: String) {
        guard let entries = reader.entries(of: entry.value, expected: "keys and values", isSecret: true) else { return }
        // A misspelled `type` is more likely than a forgotten one when its name is near.
        if let near = entries.first(where: { closest(to: $0.name, among: ["type"]) != nil }) {
            reader.show(near.value)
            reader.report(
                SettingsProblem(
                    range: near.range, path: entry.value.path, message: "unknown key '\(printable(near.name))'",
                    help: "did you mean 'type'?"))
        } else {
            reader.report(
                SettingsProblem(
                    range: entry.value.anchor, path: entry.value.path, message: "missing key 'type'", help: builtIn))
        }
    }
}
