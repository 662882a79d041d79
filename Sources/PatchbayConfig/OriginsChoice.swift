package import PatchbayPlugin

/// Pages of which hosts may call with a tenant's own credentials, beside those of the gateway's host.
package enum OriginsChoice: FieldValue, Hashable {
    /// All.
    case any
    /// Those of a list.
    case listed([OriginRule])

    package static let noun = "any, or a list of origins such as example.com"
    package static var schema: JSONValue { ["anyOf": [["const": "any"], .variableSchema, [OriginRule].schema]] }

    package static func read(_ node: SettingsNode, _ reader: SettingsReader) -> OriginsChoice? {
        if case .scalar(let scalar) = node.content, scalar.text == "any" {
            reader.show(node)
            return .any
        }
        guard case .list = node.content else {
            reader.mismatch(at: node, expected: noun)
            return nil
        }
        return [OriginRule].read(node, reader).map(OriginsChoice.listed)
    }

    package var written: JSONValue {
        switch self {
        case .any: "any"
        case .listed(let rules): rules.written
        }
    }

    /// Whether it lets a page call.
    package func allows(_ origin: String) -> Bool {
        switch self {
        case .any: true
        case .listed(let rules): rules.allow(origin)
        }
    }
}
