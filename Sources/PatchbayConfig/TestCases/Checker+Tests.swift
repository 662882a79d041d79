internal import PatchbayPlugin

/// A file with nothing but tests in it.
struct TestDocument: PluginSettings {
    @Field("What should become of callers and candidates") var tests: [SettingsNode]
}

extension Checker {
    /// Decodes and checks a list of tests; those without faults come out. The names in the others are looked at, too.
    ///
    /// - Parameter tenants: the names of all tenants, faulty or not.
    mutating func tests(_ node: SettingsNode?, tenants: [String], _ sources: Sources) -> [TestCase] {
        guard case .list(let nodes)? = node?.content else { return [] }
        var tests: [TestCase] = []
        for node in nodes {
            let (parts, isComplete) = TestCase.readParts(node, reader)
            let expect = parts.writtenExpect
            for reference in [parts.candidate?.tenant, expect?.tenant].compactMap(\.self) {
                checkTenant(reference, tenants)
            }
            for credential in [parts.connect?.token, parts.connect?.apiKey].compactMap(\.self) {
                guard case .minted(let minting) = credential else { continue }
                check(minting.reference, .auth)
                uses.mintings.append(minting)
            }
            // Nothing may be what is expected.
            if let instance = expect?.by, !["", EventsChoice.anonymous].contains(instance.name) {
                check(instance, .auth)
            }
            if let pipeline = expect?.pipeline, !pipeline.name.isEmpty { check(pipeline, .pipeline) }
            guard isComplete else { continue }
            var test = parts
            (test.file, test.line) = (sources.file(of: node.range), node.range.line + 1)
            tests.append(test)
        }
        return tests
    }

    private func checkTenant(_ reference: Reference, _ tenants: [String]) {
        guard let node = reference.node, !tenants.contains(reference.name), !reference.name.isEmpty else { return }
        let list = "tenants has: \(tenants.isEmpty ? "nothing" : tenants.sorted().joined(separator: ", "))"
        let help = didYouMean(reference.name, tenants).map { "\($0) \(list)" } ?? list
        reader.fault(at: node, "there is no tenant named '\(printable(reference.name))'", help: help)
    }
}
