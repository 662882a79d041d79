internal import PatchbayPlugin

/// The ICE policies that fit where a gateway runs, by name.
///
/// A private server is one whose callers are on its own network, so that their private addresses lead somewhere.
///
/// - Parameters:
///   - environment: `local` is a developer's machine, any other name a server.
///   - forcesRelay: whether calls may only go through TURN.
///   - serverIP: the address callers reach the server by. What is no IP literal counts as public.
package func iceAuto(
    environment: String, forcesRelay: Bool, serverIP: String
) -> (outbound: String, inbound: String) {
    guard environment != "local" else { return forcesRelay ? ("all", "private") : ("none", "none") }
    return switch (AddressScope(serverIP), forcesRelay) {
    case (.public, false): ("private", "private")
    case (.private, false), (.shared, false): ("none", "none")
    case (.public, true): ("all", "private")
    case (.private, true): ("all", "none")
    // A relay in a carrier's network reaches callers' addresses there, and no public ones.
    case (.shared, true): ("all", "public")
    }
}

/// As ENVIRONMENT, FORCE_TURN_RELAY and SERVER_IP say.
func iceAuto(_ variables: [String: String]) -> (outbound: String, inbound: String) {
    let forces = variables["FORCE_TURN_RELAY"].map { ["true", "1", "yes"].contains($0.lowercased()) } ?? false
    return iceAuto(
        environment: variables["ENVIRONMENT"] ?? "local", forcesRelay: forces, serverIP: variables["SERVER_IP"] ?? "")
}
