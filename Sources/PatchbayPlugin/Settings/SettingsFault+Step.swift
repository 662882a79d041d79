extension SettingsFault {
    /// From a setting to a part of it: `[1, "allowed_domains", 0]` leads to the first domain of the second entry.
    public enum Step: Hashable, Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
        /// To what stands behind a key.
        case key(String)
        /// To an entry of a list; the first is 0.
        case index(Int)

        /// To what stands behind a key.
        public init(stringLiteral name: String) {
            self = .key(name)
        }

        /// To an entry of a list; the first is 0.
        public init(integerLiteral index: Int) {
            self = .index(index)
        }
    }
}

extension SettingsNode {
    /// The part of it that a place is; where there is none, as near as there is one.
    package func part(at place: [SettingsFault.Step]) -> SettingsNode {
        var node = self
        for step in place {
            guard let part = node.part(at: step) else { break }
            node = part
        }
        return node
    }

    private func part(at step: SettingsFault.Step) -> SettingsNode? {
        switch step {
        case .key(let name): return self[name]
        case .index(let index):
            guard case .list(let nodes) = content, nodes.indices.contains(index) else { return nil }
            return nodes[index]
        }
    }
}
