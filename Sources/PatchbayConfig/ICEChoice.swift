internal import PatchbayPlugin

/// A tenant's policies for ICE candidates: `auto`, or named.
enum ICEChoice: FieldValue {
    /// Chosen by environment variables; the node is where it says so.
    case auto(SettingsNode)
    case policies(ICESettings)

    static let noun = "auto or { inbound: NAME, outbound: NAME }"
    static var schema: JSONValue {
        ["anyOf": [["const": "auto"], .variableSchema, ICESettings.schema]]
    }

    static func read(_ node: SettingsNode, _ reader: SettingsReader) -> ICEChoice? {
        guard case .scalar(let scalar) = node.content, !node.isEmpty else {
            return ICESettings.read(node, reader).map(ICEChoice.policies)
        }
        reader.show(node)
        if scalar.text == "auto" { return .auto(node) }
        let name = printable(scalar.source)
        let advice = didYouMean(scalar.text, ["auto"]) ?? "for both ways alike, { inbound: \(name), outbound: \(name) }"
        reader.mismatch(at: node, expected: noun, advice: advice)
        return nil
    }

    var written: JSONValue {
        switch self {
        case .auto: "auto"
        case .policies(let settings): settings.written
        }
    }

    func references(_ environment: [String: String]) -> (inbound: Reference, outbound: Reference) {
        switch self {
        case .policies(let settings): return (settings.inbound, settings.outbound)
        case .auto(let node):
            let names = iceAuto(environment)
            return (Reference(name: names.inbound, node: node), Reference(name: names.outbound, node: node))
        }
    }
}

extension ICEChoice: FieldContainer {
    static var element: any FieldValue.Type { ICESettings.self }
}

/// A tenant's policies for ICE candidates, by name.
struct ICESettings: PluginSettings {
    @Field("For the client's candidates; none filters nothing") var inbound: Reference = .init(name: "none")
    @Field("For the gateway's candidates; none filters nothing") var outbound: Reference = .init(name: "none")
}
