package import PatchbayPlugin

/// What the clients of a tenant are told: one word for all, or one for each auth instance and one for callers whom
/// none of them knows, under `anonymous`.
package struct EventsChoice: FieldValue {
    /// In place of an auth instance.
    package static let anonymous = "anonymous"

    /// Of those whose auth instance is not named. Visitors see the transcript at most.
    private var usual = EventExposure.all
    private var byInstance: [String: EventExposure] = [:]

    package static let noun = "\(EventExposure.noun), or one of these for each auth instance"
    package static var schema: JSONValue {
        ["anyOf": [EventExposure.schema, ["type": "object", "additionalProperties": EventExposure.schema]]]
    }

    /// The same for all.
    package init(_ usual: EventExposure = .all) {
        self.usual = usual
    }

    package static func read(_ node: SettingsNode, _ reader: SettingsReader) -> EventsChoice? {
        var choice = EventsChoice()
        if case .map = node.content {
            guard let written = [String: EventExposure].read(node, reader) else { return nil }
            choice.byInstance = written
        } else {
            guard let written = EventExposure.read(node, reader) else { return nil }
            choice.usual = written
        }
        return choice
    }

    package var written: JSONValue {
        byInstance.isEmpty ? usual.written : .object(byInstance.mapValues(\.written))
    }

    /// What a caller sees.
    ///
    /// - Parameters:
    ///   - instance: the auth instance that accepted the caller, if any.
    ///   - isVisitor: anybody who comes by a page.
    package func exposure(instance: String?, isVisitor: Bool) -> EventExposure {
        if let named = byInstance[instance ?? Self.anonymous] { return named }
        return isVisitor && usual == .all ? .transcript : usual
    }
}
