internal import FoundationEssentials
internal import PatchbayPlugin

/// JSON Schema (2020-12) of the whole configuration, for this build's plugins.
package func schema(_ catalogue: PluginCatalogue) -> String {
    var properties = Document.schema["properties"]?.object ?? [:]
    for kind in PluginKind.allCases {
        properties[kind.section] = named(
            ["oneOf": .array((catalogue[kind] ?? []).map { instanceSchema(kind, $0) })], like: properties[kind.section])
    }
    properties["tenants"] = named(TenantSettings.schema, like: properties["tenants"])
    properties["tests"] = [
        "type": ["array", "null"], "items": TestCase.schema, "description": properties["tests"]?["description"] ?? "",
    ]
    var schema = Document.schema.object ?? [:]
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Patchbay's configuration"
    schema["properties"] = .object(properties)

    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    // Numbers in a schema are finite, the one thing that cannot be encoded otherwise.
    guard let bytes = try? encoder.encode(JSONValue.object(schema)) else { return JSONValue.object(schema).description }
    return String(decoding: bytes, as: UTF8.self)
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
