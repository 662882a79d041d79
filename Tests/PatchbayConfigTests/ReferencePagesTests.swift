import PatchbayConfig
import PatchbayPlugin
import Testing

@Suite("The reference of a build's settings")
struct ReferencePagesTests {
    private let pages = referencePages(catalogue)

    @Test("has a page for each kind of plugin, one for the file, and one that leads to them")
    func names() {
        #expect(
            pages.keys.sorted() == [
                "README.md", "auth.md", "configuration.md", "ice_policies.md", "pipelines.md", "quotas.md", "stores.md",
            ])
        #expect(pages["README.md"]?.contains("[`embed_token`](auth.md#embed_token), [`jwt`](auth.md#jwt)") == true)
    }

    @Test(
        "has a line for each setting: its value, its default, its meaning",
        arguments: [
            ("auth.md", "| `secret` | a secret | required | Key of the HS algorithms |"),
            (
                "auth.md",
                "| `algorithms` | a list, each one of HS256, RS256 | required | Algorithms that are accepted |"
            ),
            ("auth.md", "| `issuer` | text |  | Who must have signed |"),
            ("auth.md", "| `leeway` | a duration | `30s` | Clock difference that is forgiven |"),
            ("auth.md", "| `tokens` | a list | required | Tokens that stand in pages |"),
            (
                "auth.md",
                "| `tokens[].workflow` | a whole number from 1 to 1000000 | required | The workflow it starts |"
            ),
            ("auth.md", "| `tokens[].settings` | any value | `{}` | Handed to the page |"),
            (
                "quotas.md",
                "| `on_unavailable` | one of allow, deny | `deny` | What happens to a call when the quota cannot tell |"
            ),
            ("ice_policies.md", "Drops private. It needs no entry: `private` names it as it is."),
            ("pipelines.md", "## `echo`\n\nSends back.\n\nThere is nothing to set."),
            (
                "configuration.md",
                "| `opus.bitrate` | a whole number from 6000 to 128000 | `32000` | Bit/s; callers may ask for less |"
            ),
            ("configuration.md", "| [`auth`](auth.md) | instances by name |  | Who may call |"),
            (
                "configuration.md",
                "| `ice.inbound` | a name | `none` | For the client's candidates; none filters nothing |"
            ),
            ("configuration.md", "| `connect.token.env` | text |  | The environment variable that has it |"),
        ])
    func lines(page: String, line: String) throws {
        let text = try #require(pages[page])
        #expect(text.contains(line), "\(text)")
    }

    @Test("names every setting that the schema has")
    func complete() throws {
        var missing: [String] = []
        func look(_ schema: JSONValue?, _ text: String) {
            for (name, property) in schema?["properties"]?.object ?? [:] {
                if !text.contains("`\(name)`"), !text.contains(".\(name)`"), !text.contains("[].\(name)`") {
                    missing.append(name)
                }
                look(property, text)
                look(property["items"], text)
            }
        }
        let schema = try JSONValue(parsing: schema(catalogue), maximumDepth: 64)
        let whole = pages.values.joined()
        look(schema, whole)
        for section in ["stores", "auth", "quotas", "pipelines", "ice_policies"] {
            let plugins = schema["properties"]?[section]?["additionalProperties"]?["oneOf"]
            guard case .array(let plugins)? = plugins else { return #expect(Bool(false), "no \(section)") }
            for plugin in plugins { look(plugin, whole) }
        }
        look(schema["properties"]?["tenants"]?["additionalProperties"], whole)
        look(schema["properties"]?["tests"]?["items"], whole)
        #expect(missing == [])
    }

    @Test("is the same each time, and breaks no table")
    func stable() {
        #expect(pages == referencePages(catalogue))
        for (name, text) in pages {
            #expect(text.hasSuffix("\n") && !text.hasSuffix("\n\n"), "\(name)")
            for line in text.split(separator: "\n") where line.hasPrefix("|") {
                #expect(line.replacing("\\|", with: "").count { $0 == "|" } == 5, "\(name): \(line)")
            }
        }
    }
}
