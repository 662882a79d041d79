internal import FoundationEssentials
internal import PatchbayPlugin

/// The files that a configuration may consist of.
package enum ConfigurationFile {
    /// The first.
    case whole
    /// One of a folder of tenants.
    case tenant
    /// One with more tests.
    case tests
}

/// JSON Schema (2020-12) of one of a configuration's files, for this build's plugins.
package func schema(_ catalogue: PluginCatalogue, of file: ConfigurationFile = .whole) -> String {
    let (title, schema): (String, JSONValue) =
        switch file {
        case .whole: ("Patchbay's configuration", wholeSchema(catalogue))
        case .tenant: ("A tenant of Patchbay's configuration", TenantSettings.schema)
        case .tests: ("Tests of Patchbay's configuration", testsSchema)
        }
    var object = schema.object ?? [:]
    object["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    object["title"] = .string(title)

    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    // Numbers in a schema are finite, the one thing that cannot be encoded otherwise.
    guard let bytes = try? encoder.encode(JSONValue.object(object)) else { return JSONValue.object(object).description }
    return String(decoding: bytes, as: UTF8.self)
}

/// A file with nothing but tests.
private var testsSchema: JSONValue {
    var schema = TestDocument.schema.object ?? [:]
    schema["properties"] = ["tests": listOfTests(like: schema["properties"]?["tests"])]
    return .object(schema)
}

private func listOfTests(like field: JSONValue?) -> JSONValue {
    ["type": ["array", "null"], "items": TestCase.schema, "description": field?["description"] ?? ""]
}

private func wholeSchema(_ catalogue: PluginCatalogue) -> JSONValue {
    var properties = Document.schema["properties"]?.object ?? [:]
    for kind in PluginKind.allCases {
        properties[kind.section] = named(
            ["oneOf": .array((catalogue[kind] ?? []).map { instanceSchema(kind, $0) })], like: properties[kind.section])
    }
    properties["tenants"] = named(TenantSettings.schema, like: properties["tenants"])
    properties["tests"] = listOfTests(like: properties["tests"])
    var schema = Document.schema.object ?? [:]
    schema["properties"] = .object(properties)
    return .object(schema)
}

/// A map from names to values of `schema`, described as `field` is.
private func named(_ schema: JSONValue, like field: JSONValue?) -> JSONValue {
    [
        "type": ["object", "null"], "description": field?["description"] ?? "",
        "propertyNames": ["pattern": "^[A-Za-z0-9_-]+$"], "additionalProperties": schema,
    ]
}

/// An instance: the host's keys and the plugin's, with its `type` fixed.
private func instanceSchema(_ kind: PluginKind, _ plugin: PluginDescription) -> JSONValue {
    var schema =
        InstanceSettings.objectSchema(of: kind.hostSettings.fields + plugin.settings.init().fields).object ?? [:]
    var properties = schema["properties"]?.object ?? [:]
    properties["type"] = ["const": .string(plugin.type), "description": .string(plugin.summary)]
    schema["properties"] = .object(properties)
    schema["title"] = .string(plugin.type)
    return .object(schema)
}

/// A plugin and its settings, for people.
package func describe(_ plugin: PluginDescription, kind: PluginKind) -> String {
    var lines = ["\(plugin.type) (\(kind.rawValue)): \(plugin.summary)"]
    append(
        kind.hostSettings.fields.filter { $0.name != "type" } + plugin.settings.init().fields, indent: "  ", to: &lines)
    if lines.count == 1 { lines.append("  no settings") }
    return lines.joined(separator: "\n")
}

private func append(_ fields: [NamedField], indent: String, to lines: inout [String]) {
    for named in fields {
        let use =
            switch named.field.written {
            case nil: "required"
            case .null?: "optional"
            case .object?: "optional"
            case let written?: "default \(written.plain)"
            }
        lines.append("\(indent)\(named.name): \(named.field.noun), \(use)")
        lines.append("\(indent)    \(named.field.summary)")
        append(named.field.nested, indent: indent + "    ", to: &lines)
    }
}
