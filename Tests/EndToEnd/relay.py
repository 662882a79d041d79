"""TCP between a client and the gateway, to be cut or to fall silent."""

import asyncio
from urllib.parse import urlsplit


class Relay:
    """Between a client and the gateway, until it falls silent: nothing gets through then, and nothing is closed."""

    def __init__(self, url: str):
        self.target = urlsplit(url)
        self.is_silent = False
        self._tasks = set()
        self._writers = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = self.target._replace(netloc=f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}").geturl()
        return self

    async def _accept(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection(self.target.hostname, self.target.port)
        self._writers += writer, far_writer
        for each in (reader, far_writer), (far_reader, writer):
            self._tasks.add(asyncio.ensure_future(self._carry(*each)))

    async def _carry(self, reader, writer):
        while data := await reader.read(65536):
            if not self.is_silent:
                writer.write(data)
        if not self.is_silent:
            writer.close()

    def reset(self):
        """Ends its connections, and takes new ones."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers = []

    async def __aexit__(self, *_):
        self.server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.close()
