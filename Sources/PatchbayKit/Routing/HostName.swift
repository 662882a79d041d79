/// The host of a `Host` field: without its port, without the dot that ends a fully qualified name, in lower case.
func hostName(ofHost host: String) -> String {
    var name = host.hasPrefix("[") ? host.prefix { $0 != "]" }.dropFirst() : host.prefix { $0 != ":" }
    if name.hasSuffix(".") { name.removeLast() }
    return name.lowercased()
}
