internal import NIOHTTP1

extension Response {
    /// Lets an embed page read why it gets nothing. Whoever answers with a field that says who may read it has said so.
    ///
    /// - Parameter request: the head of what this is the response to, nil where none came.
    func readable(by request: HTTPRequestHead?) -> Response {
        guard status >= 400, !headers.keys.contains(where: { $0.lowercased() == "access-control-allow-origin" }),
            let request, request.isOfEmbedPage,
            let origin = request.headers.first(name: "origin")
        else { return self }
        var response = self
        response.headers["access-control-allow-origin"] = origin
        response.headers["vary"] = headers["vary"].map { "\($0), Origin" } ?? "Origin"
        return response
    }
}

extension HTTPRequestHead {
    /// Whether a page asks for what is below any tenant's `/api/v1/public/embed/`, and no browser whether the page may (Fetch §3.3.2).
    fileprivate var isOfEmbedPage: Bool {
        let isPreflight = method == .OPTIONS && headers.contains(name: "access-control-request-method")
        let path = uri.utf8.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        return !isPreflight && path.contains("/api/v1/public/embed/".utf8)
    }
}
