"""Web pages of somebody else's, each with the headers that its host sends."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HostPages:
    """A web server of its own, and so an origin that no gateway serves."""

    def __init__(self):
        self.pages: dict[str, tuple[dict, bytes]] = {}
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                headers, body = pages.get(self.path.partition("?")[0], ({}, None))
                self.send_response(200 if body is not None else 204)
                for field in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
                    self.send_header(*field)
                self.end_headers()
                self.wfile.write(body or b"")

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.server.server_port}"

    def add(self, body: str, **headers: str) -> str:
        """A page of that body; its address."""
        path = f"/{len(self.pages)}"
        text = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>A shop</title>{body}'
        self.pages[path] = ({name.replace("_", "-"): value for name, value in headers.items()}, text.encode())
        return self.origin + path

    def close(self):
        self.server.shutdown()
        self.server.server_close()
