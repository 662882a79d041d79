import Signaling

/// The script that the pages of others have, to call from there.
extension Router {
    /// nil where the path is somebody else's, or no page could start a call.
    func embedScript(for request: Request, tenant: Tenant, path: ArraySlice<String>) -> Response? {
        guard path == ["embed", "patchbay.js"], tenant.startsEmbedSessions else { return nil }
        guard request.isRead else {
            var response = Self.failure(405, "Method Not Allowed")
            response.headers["allow"] = "GET, HEAD"
            return response
        }
        // Any page may have it: who may call with it is the token's to say.
        var headers = [
            "access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin",
            "cache-control": "public, max-age=300", "etag": EmbedScript.entityTag,
        ]
        if request.headers["if-none-match"]?.contains(EmbedScript.entityTag) == true {
            return Response(status: 304, headers: headers)
        }
        headers["content-type"] = "text/javascript; charset=utf-8"
        headers["x-content-type-options"] = "nosniff"
        return Response(status: 200, headers: headers, body: EmbedScript.text)
    }
}
