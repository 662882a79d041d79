internal import PatchbayPlugin

extension Checker {
    /// Decodes and checks the tenants; those without faults come out, by name.
    mutating func tenants(_ root: SettingsNode) -> [GatewayConfiguration.Tenant] {
        guard let node = root["tenants"], case .map(let entries) = node.content else { return [] }
        if entries.isEmpty {
            reader.fault(at: node, "there is no tenant", help: "a gateway without tenants serves nobody")
        }
        var owners: [TenantMatch: String] = [:]
        var tenants: [GatewayConfiguration.Tenant] = []
        for entry in entries {
            checkName(entry)
            let settings = TenantSettings()
            let isComplete = reader.fill(settings.fields, from: withLists(entry.value))
            for (match, node) in settings.writtenMatch?.matches ?? [] {
                if let owner = owners.updateValue(entry.name, forKey: match) {
                    reader.fault(at: node, "the tenant '\(owner)' has the same match: \(match)")
                }
            }
            // Of what is no tenant at all enough is said.
            guard entry.value.mayHaveKeys else { continue }
            checkReferences(settings, entry)
            for list in [settings.auth, settings.quotas] { warnOfRepeats(list) }
            let isAuthGood = checkAuth(settings, entry)
            if isAuthGood { checkEvents(settings, entry) }
            uses.tenants.append(use(settings, entry, isAuthGood: isAuthGood))
            let pipelines = workflows(entry.value["pipelines"], settings.pipelines)
            let ice = policies(settings.ice, entry)
            let store = store(settings, entry)
            if isComplete, let store { tenants.append(tenant(entry, settings, pipelines, ice, store)) }
        }
        return tenants.sorted { $0.name < $1.name }
    }

    private mutating func checkReferences(_ settings: TenantSettings, _ entry: SettingsNode.Entry) {
        for reference in settings.auth { check(reference, .auth) }
        for reference in settings.quotas { check(reference, .quota) }
        if let pipeline = settings.writtenPipeline { check(pipeline, .pipeline) }
        for reference in settings.pipelines.values { check(reference, .pipeline) }
    }

    /// The names of a tenant's ICE policies.
    private mutating func policies(_ ice: ICEChoice, _ entry: SettingsNode.Entry) -> (inbound: String, outbound: String)
    {
        let (inbound, outbound) = ice.references(reader.environment)
        for reference in [inbound, outbound] {
            check(Reference(name: reference.name, node: reference.node ?? entry.value), .icePolicy)
        }
        return (inbound.name, outbound.name)
    }

    /// The name of the store that has a tenant's runs; nil after a fault.
    private mutating func store(_ settings: TenantSettings, _ entry: SettingsNode.Entry) -> String? {
        if let reference = settings.store {
            check(reference, .store)
            return reference.name
        }
        guard entry.value["store"] == nil else { return nil }
        let names = (declared[.store] ?? []).sorted()
        if let name = names.first {
            guard names.count > 1 else { return name }
            let help =
                "say which one has this tenant's runs: `store: NAME`; stores has: \(names.joined(separator: ", "))"
            report(entry, "there are several stores", help: help)
            return nil
        }
        let plugins = catalogue[.store] ?? []
        if plugins.contains(where: { $0.isPredeclared && $0.type == "memory" }) {
            check(Reference(name: "memory", node: entry.value), .store)
            return "memory"
        }
        let types = plugins.map(\.type).sorted().joined(separator: ", ")
        report(
            entry, "there is no store for this tenant's runs",
            help: types.isEmpty
                ? "this build has no store plugin"
                : "declare one: `stores: { NAME: { type: TYPE } }`; built in: \(types)")
        return nil
    }

    private func report(_ entry: SettingsNode.Entry, _ message: String, help: String) {
        reader.report(
            SettingsProblem(range: entry.range, path: entry.value.path, message: message, help: help))
    }

    /// Whether nothing is wrong with how a tenant's `auth` is written.
    private func checkAuth(_ settings: TenantSettings, _ entry: SettingsNode.Entry) -> Bool {
        let written = entry.value["auth"]
        // What is no list, or one with faults in it, is not an empty one.
        if let written, !written.isEmptyList { return written.count == settings.auth.count }
        let mayBeAnonymous =
            settings.allowAnonymous || entry.value["allow_anonymous"].map { !$0.says("false") } ?? false
        if mayBeAnonymous { return true }
        let names = (declared[.auth] ?? []).sorted()
        let has = "auth has: \(names.isEmpty ? "nothing" : names.joined(separator: ", "))"
        reader.report(
            SettingsProblem(
                range: written?.anchor ?? entry.range, path: entry.value.path,
                message: "the auth chain is empty, so nobody could call",
                // Whoever has begun to write it wants it asked.
                help: written == nil
                    ? "name instances of 'auth', or write allow_anonymous: true to let everybody in"
                    : "name instances in it. \(has)"))
        return false
    }

    /// What of a tenant can only be looked at when its instances are made.
    private func use(
        _ settings: TenantSettings, _ entry: SettingsNode.Entry, isAuthGood: Bool
    ) -> GatewayConfiguration.TenantUse {
        let ofWorkflows = settings.pipelines.sorted { $0.key < $1.key }.map(\.value)
        return GatewayConfiguration.TenantUse(
            auth: settings.auth, pipelines: [settings.writtenPipeline].compactMap(\.self) + ofWorkflows,
            isAuthGood: isAuthGood, playground: settings.playground, node: entry.value)
    }

    /// Events are told by auth instance, each one of the tenant's.
    private func checkEvents(_ settings: TenantSettings, _ entry: SettingsNode.Entry) {
        guard let node = entry.value["events"], case .map(let entries) = node.content else { return }
        let names = settings.auth.map(\.name) + (settings.allowAnonymous ? [EventsChoice.anonymous] : [])
        for choice in entries where !names.contains(choice.name) {
            reader.report(
                SettingsProblem(
                    range: choice.range, path: choice.value.path,
                    message: choice.name == EventsChoice.anonymous
                        ? "the tenant has no callers whom nobody knows"
                        : "the tenant has no auth instance named '\(printable(choice.name))'",
                    help: choice.name == EventsChoice.anonymous
                        ? "add allow_anonymous: true, or leave this out"
                        : didYouMean(choice.name, names) ?? "its auth has: \(names.joined(separator: ", "))"))
        }
    }

    private func tenant(
        _ entry: SettingsNode.Entry, _ settings: TenantSettings, _ pipelines: [Int: String],
        _ ice: (inbound: String, outbound: String), _ store: String
    ) -> GatewayConfiguration.Tenant {
        GatewayConfiguration.Tenant(
            name: entry.name, matches: settings.match.matches.map(\.match), auth: settings.auth.map(\.name),
            allowAnonymous: settings.allowAnonymous, origins: settings.origins, quotas: settings.quotas.map(\.name),
            pipeline: settings.pipeline.name, pipelines: pipelines, runs: settings.runs,
            keepRuns: settings.keepRuns, store: store, playground: settings.playground, inboundPolicy: ice.inbound,
            outboundPolicy: ice.outbound, events: settings.events, limits: settings.limits, node: entry.value)
    }

    private func workflows(_ node: SettingsNode?, _ pipelines: [String: Reference]) -> [Int: String] {
        guard case .map(let entries)? = node?.content else { return [:] }
        var workflows: [Int: String] = [:]
        for entry in entries {
            if let workflow = Int.decode(entry.name), workflow > 0 {
                workflows[workflow] = pipelines[entry.name]?.name
            } else {
                reader.report(
                    SettingsProblem(
                        range: entry.range, path: entry.value.path,
                        message: "expected a workflow id, found '\(printable(entry.name))'", help: "a number from 1"))
            }
        }
        return workflows
    }

    /// Checks that an instance is declared, and declares it when its plugin is one that needs no declaration.
    mutating func check(_ reference: Reference, _ kind: PluginKind) {
        guard let node = reference.node, declared[kind]?.contains(reference.name) != true else { return }
        let predeclared = (catalogue[kind] ?? []).filter(\.isPredeclared)
        if let plugin = predeclared.first(where: { $0.type == reference.name }) {
            instances[kind, default: [:]][plugin.type] = GatewayConfiguration.PluginInstance(
                kind: kind, name: plugin.type, type: plugin.type, settings: plugin.settings.init(), stores: [],
                onUnavailable: .deny, fingerprint: Fingerprint(nil), node: node)
            return
        }
        let names = (declared[kind] ?? []).union(predeclared.map(\.type)).sorted()
        let list = "\(kind.section) has: \(names.isEmpty ? "nothing" : names.joined(separator: ", "))"
        let other = PluginKind.allCases.first { declared[$0]?.contains(reference.name) == true }
        let advice =
            other.map { "'\(printable(reference.name))' is an instance under \($0.section)." }
            ?? didYouMean(reference.name, names)
        let help = advice.map { "\($0) \(list)" } ?? list
        reader.fault(at: node, "there is no \(kind.rawValue) instance named '\(printable(reference.name))'", help: help)
    }

    /// Checks that every media loop has a port.
    func check(_ media: MediaSettings, _ root: SettingsNode) {
        guard let loops = media.loops, loops > media.ports.ports.count, let node = root["media"]?["loops"] else {
            return
        }
        reader.fault(at: node, "\(loops) loops need \(loops) ports, and 'ports' has \(media.ports.ports.count)")
    }
}

extension SettingsNode {
    /// Whether it is a map, or nothing, which stands for an empty one.
    fileprivate var mayHaveKeys: Bool {
        if case .map = content { true } else { isEmpty }
    }

    /// Whether it is a list with nothing in it, or a key with nothing behind it, which stands for one.
    fileprivate var isEmptyList: Bool { count.map { $0 == 0 } ?? isEmpty }

    /// How many stand in a list; nil for what is none.
    fileprivate var count: Int? {
        if case .list(let nodes) = content { nodes.count } else { nil }
    }

    /// Whether it is a scalar with this text.
    fileprivate func says(_ text: String) -> Bool {
        if case .scalar(let scalar) = content { scalar.text == text } else { false }
    }
}
