"""A Redis of a test's own: started, asked, broken, mended; and a way to it that is slow."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import threading
import time

from gateway import free_port


class Redis:
    """A redis-server on a free port of loopback, with nothing on disk; with `tls`, a certificate's file and its key's, it takes TLS only."""

    def __init__(self, *options: str, tls=()):
        self.port = free_port()
        self.tls = [word for pair in ((f"--tls-{name}-file", str(file)) for name, file in zip(("cert", "key"), tls, strict=False)) for word in pair]
        self.options = options
        self.password = options[options.index("--requirepass") + 1] if "--requirepass" in options else None
        self.start()

    def start(self):
        """Starts it, also after `kill`, with nothing in it."""
        ports = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"] if self.tls else ["--port", str(self.port)]
        command = ["redis-server", *ports, *self.tls, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp"]
        self.process = subprocess.Popen([*command, *self.options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10):
                    return
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, "redis-server does not start"
                time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        """From here on it takes connections and questions, and answers none."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def ask(self, *words):
        """A command's answer; an error is raised."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            stream = connection.makefile("rwb")
            if self.password:
                self._ask(stream, "AUTH", self.password)
            return self._ask(stream, *words)

    def _ask(self, stream, *words):
        parts = [str(word).encode() for word in words]
        stream.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        stream.flush()
        return self._read(stream)

    def _read(self, stream):
        line = stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("redis-server closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        match kind:
            case b"+":
                return rest
            case b"-":
                raise AssertionError(rest)
            case b":":
                return int(rest)
            case b"$":
                return None if rest == "-1" else stream.read(int(rest) + 2)[:-2].decode()
            case b"*":
                return [self._read(stream) for _ in range(int(rest))]
        raise AssertionError(line)

    def keys(self) -> list[str]:
        return sorted(self.ask("KEYS", "*"))

    def seats(self, quota="seats", tenant="default") -> int:
        """How many calls a concurrency quota counts in it."""
        seconds, microseconds = map(int, self.ask("TIME"))
        now = seconds * 1000 + microseconds // 1000
        return self.ask("ZCOUNT", f"patchbay:lease:concurrency:{quota}:{tenant}", f"({now}", "+inf")

    def slots(self, organization=9) -> tuple[int, int, int, int]:
        """How many calls stand in Dograh's keys: the organisation's, the fleet's, the runs'; and in the gateways' list."""
        return (
            self.ask("ZCARD", f"concurrent_calls:{organization}"),
            self.ask("ZCARD", "concurrent_calls_fleet"),
            len(self.ask("KEYS", "workflow_slot_mapping:*")),
            self.ask("ZCARD", "patchbay:dograh_slots"),
        )

    def await_state(self, reached, timeout: float) -> float:
        """Waits until `reached(self)`; how long that took."""
        began = time.monotonic()
        while not reached(self):
            assert time.monotonic() < began + timeout, f"after {timeout} s still {self.seats()} seats, slots {self.slots()}"
            time.sleep(0.1)
        return time.monotonic() - began


class SlowWay:
    """A way to a server on which everything that comes back takes `delay` seconds."""

    def __init__(self, port: int):
        self.target = port
        self.delay = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _end(self):
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(self._carry(reader, far_writer, False), self._carry(far_reader, writer, True))

    async def _carry(self, reader, writer, is_slow: bool):
        """In order; what is under way stays as late as it was, whatever becomes of `delay`."""
        on_its_way = asyncio.Queue()

        async def deliver():
            while True:
                due, data = await on_its_way.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    return writer.close()
                writer.write(data)

        delivering = asyncio.ensure_future(deliver())
        try:
            while True:
                data = await reader.read(65536)
                on_its_way.put_nowait((time.monotonic() + (self.delay if is_slow else 0), data))
                if not data:
                    return await delivering
        finally:
            delivering.cancel()
