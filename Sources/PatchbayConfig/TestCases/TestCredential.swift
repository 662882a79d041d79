package import PatchbayPlugin

/// The token or key that a test shows: text for one that is not good, else where it comes from, or who makes it.
///
/// What is fetched is fetched when the test runs, so that a gateway starts without it.
package enum TestCredential: FieldValue {
    case text(Secret)
    /// The environment variable that has it.
    case variable(String)
    /// The path of the file that has it.
    case file(String)
    case minted(Minting)

    /// What an auth instance is asked for.
    package struct Minting: Sendable {
        /// The name of the auth instance.
        package var instance: String
        package var user: String?
        package var organization: String?
        package var workflow: Int?
        package var lifetime: Duration
        /// How long ago it was made.
        package var age: Duration
        /// Where the instance is named.
        let reference: Reference
        /// Where all of it is written.
        let node: SettingsNode

        /// What is wrong with one of its keys, or with that key not being there.
        package func problem(_ message: String, at key: String, help: String) -> SettingsProblem {
            let place = node[key]
            return SettingsProblem(
                range: place?.range ?? node.anchor, path: place?.path ?? node.path, message: message, help: help)
        }
    }

    package static let noun = "text, { env: NAME }, { file: PATH } or { mint: INSTANCE, user: ID }"
    package static let isSecret = true
    package static var schema: JSONValue { ["anyOf": [String.schema, Written.schema]] }

    /// What stands in `{ }`.
    package struct Written: PluginSettings {
        @Field("The environment variable that has it") var env: String?
        @Field("The file that has it") var file: FileReference?
        @Field("The auth instance that makes one, as `patchbay token` has it made") var mint: Reference?
        @Field("With mint: whom it speaks for") var user: String?
        @Field("With mint: the user's organisation") var organization: String?
        @Field("With mint: the only workflow it is good for, where the instance makes such ones") var workflow: Int?
        @Field("With mint: how long it is good") var lifetime: Duration = .seconds(3600)
        @Field("With mint: how long ago it was made") var age: Duration = .zero

        package init() {}
    }

    package static func read(_ node: SettingsNode, _ reader: SettingsReader) -> TestCredential? {
        if case .scalar(let scalar) = node.content, !node.isEmpty { return .text(Secret(scalar.text)) }
        guard case .map(let entries) = node.content else {
            reader.mismatch(at: node, expected: noun, isSecret: true)
            return nil
        }
        guard let written = Written.read(node, reader) else { return nil }
        if let option = entries.first(where: { !["env", "file", "mint"].contains($0.name) }), written.mint == nil {
            reader.fault(
                at: option.value, "'\(option.name)' is about what an instance mints", help: "add mint: INSTANCE")
            return nil
        }
        switch (written.env, written.file, written.mint) {
        case (let name?, nil, nil): return .variable(name)
        case (nil, let file?, nil): return .file(file.path)
        case (nil, nil, let instance?):
            return .minted(
                Minting(
                    instance: instance.name, user: written.user, organization: written.organization,
                    workflow: written.workflow, lifetime: written.lifetime, age: written.age, reference: instance,
                    node: node))
        default:
            reader.fault(
                at: node, "a credential comes from one place",
                help: "write { env: NAME }, { file: PATH } or { mint: INSTANCE, user: ID }")
            return nil
        }
    }

    package var written: JSONValue { .string("<secret>") }

    /// Fetches it; nil when it is to be minted.
    ///
    /// - Throws: a `SettingsFault` that says what cannot be had.
    package func fetch(
        environment: [String: String], readFile: (String) throws -> [UInt8] = readSecretFile
    ) throws(SettingsFault) -> String? {
        switch self {
        case .text(let secret): return secret.withValue(\.self)
        case .variable(let name):
            guard let text = environment[name] else {
                throw SettingsFault("the environment variable '\(printable(name))' is not set")
            }
            return text
        case .file(let path):
            let bytes: [UInt8]
            do { bytes = try readFile(path) } catch { throw SettingsFault("cannot read '\(path)': \(error)") }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw SettingsFault("the file '\(path)' is not UTF-8 text")
            }
            return text.last?.isNewline == true ? String(text.dropLast()) : text
        case .minted: return nil
        }
    }
}

extension TestCredential: FieldContainer {
    package static var element: any FieldValue.Type { Written.self }
}
