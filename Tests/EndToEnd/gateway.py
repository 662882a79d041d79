"""A gateway process of a test's own: configured, started, looked into, stopped."""

import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import queue
import random
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import leaks

ROOT = Path(__file__).resolve().parents[2]
BINARY = (ROOT / os.environ.get("PATCHBAY_BINARY", ".build/debug/patchbay")).resolve()
SECRET = "an end-to-end test's own secret, of no use elsewhere"
TURN_SECRET = "0c7b9a1be4f2d3c85a6e7f9001122334"
PASSPHRASE = "a-passphrase-for-ada-only"

CONFIG = """\
version: 1
server:
  listen: {listen}
  admin: 127.0.0.1:0
  drain: {drain}
media:
  addresses: [127.0.0.1]
  ports: {ports}
stores:
  local: {{ type: sqlite, path: {directory}/patchbay.db }}
auth:
  users: {{ type: jwt, algorithms: [HS256], secret: {{ file: {directory}/jwt.secret }} }}
  embeds:
    type: embed_token
    store: local
    starts_per_token: 100000
    starts_per_address: 100000
    tokens:
      - {{ token: emb_demo, workflow: 1, allowed_domains: [localhost, 127.0.0.1] }}
      - {{ token: emb_echo, workflow: 2 }}
      - {{ token: emb_player, workflow: 3 }}
quotas:
  seats: {{ type: concurrency, limit: {seats} }}
pipelines:
  parrot: {{ type: parrot }}
  echo: {{ type: echo }}
  player: {{ type: player, path: {player} }}
tenants:
  default:
    match: any
    auth: [users, embeds]
    quotas: [seats]
    pipeline: parrot
    pipelines: {{ "2": echo, "3": player }}
    ice: {{ inbound: none, outbound: none }}
    playground: emb_demo
    limits: {{ call: 30m, connect: {connect}, grace: {grace} }}
"""


# A run is called once, so each call gets one of its own; low numbers are for tests that choose.
FRESH_RUNS = itertools.count(100_000)


# Ports below the ephemeral ones. Each process of `pytest -n 3` has a thousand of its own: what one has found free, another could
# find free as well before the first has bound it.
FIRST_PORT = 20_000 + 1_000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10)
PORTS = range(FIRST_PORT, FIRST_PORT + 1_000)


def free_port() -> int:
    """A TCP port of ours that nobody has right now."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def free_ports(count: int = 8) -> str:
    """A range of UDP ports of ours that nobody has right now."""
    while True:
        first = random.choice(PORTS[: len(PORTS) - count])
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sockets[-1].bind(("127.0.0.1", port))
            return f"{first}-{first + count - 1}"
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()


def changed_config(*changes: tuple[str, str]) -> str:
    """The configuration with something else in the place of a text that stands there once."""
    config = CONFIG
    for old, new in changes:
        assert config.count(old) == 1, old
        config = config.replace(old, new)
    return config


# The same gateway, built by a third party with a pipeline and an auth plugin of its own.
OWN_GATEWAY = changed_config(
    ("player: {{ type: player, path: {player} }}", "mine: {{ type: backwards, patience: {patience} }}"),
    ('"3": player', '"3": mine'),
    ("  users:", "  guests: {{ type: guest_list, guests: {{ ada: {{ file: {directory}/ada.secret }} }} }}\n  users:"),
    ("[users, embeds]", "[guests, users, embeds]"),
)


def with_turn(server: socket.socket, outbound="none") -> str:
    """The configuration with that TURN server; with `all`, calls get through by a relay of the gateway's or not at all."""
    servers = f"ice_servers:\n  - urls: ['turn:127.0.0.1:{server.getsockname()[1]}']\n"
    secret = "    secret: {{ file: {directory}/turn.secret }}\n"
    return changed_config(("outbound: none", f"outbound: {outbound}")) + servers + secret


def write_config(directory: Path, template=CONFIG, **changes) -> Path:
    """Fills in a configuration; `changes` are to its defaults."""
    for name, secret in ("jwt.secret", SECRET), ("turn.secret", TURN_SECRET), ("ada.secret", PASSPHRASE):
        (directory / name).write_text(secret)
        (directory / name).chmod(0o600)
    defaults = {"seats": 50, "connect": "60s", "patience": "30s", "listen": "127.0.0.1:0", "drain": "0s", "grace": "10s"}
    path = directory / "config.yaml"
    path.write_text(template.format(directory=directory, ports=free_ports(), **{**defaults, **changes}))
    return path


def jwt(*, user="7", secret=SECRET, lifetime=3600, algorithm="HS256", **claims) -> str:
    """A token made here, byte by byte, so that the gateway does not mark its own work."""

    def part(value) -> bytes:
        return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=")

    now = int(time.time())
    body = {"sub": user, "email": f"{user}@example.org", "iat": now, "exp": now + lifetime, **claims}
    signed = part({"alg": algorithm, "typ": "JWT"}) + b"." + part(body)
    signature = hmac.digest(secret.encode(), signed, hashlib.sha256) if algorithm == "HS256" else b""
    token = (signed + b"." + part(signature)).decode()
    leaks.in_token(token)
    return token


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def upgrade(url: str, headers=None, source="127.0.0.1") -> tuple[int, dict, bytes]:
    """Status, header fields and body of an attempt to open a WebSocket, which is dropped at once where it opens."""
    leaks.in_request(url, headers)
    where = urlsplit(url)
    connection = HTTPConnection(where.hostname, where.port, timeout=10, source_address=(source, 0))
    try:
        connection.request("GET", f"{where.path}?{where.query}" if where.query else where.path, headers={**UPGRADE, **(headers or {})})
        response = connection.getresponse()
        return response.status, fields(response), b"" if response.status == 101 else response.read()
    finally:
        connection.close()


def fields(response) -> dict[str, str]:
    """Header fields by their names in lower case."""
    return {name.lower(): value for name, value in response.headers.items()}


def http(method: str, url: str, body=None, headers=None) -> tuple[int, dict, bytes]:
    """Status, header fields and body; every status is an answer."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    leaks.in_request(url, headers)
    leaks.in_body(data)
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = response.read()
            leaks.in_body(answer)
            return response.status, fields(response), answer
    except urllib.error.HTTPError as error:
        return error.code, fields(error), error.read()


def embed_session(gateway: str, token="emb_echo", origin="http://localhost", **body) -> tuple[str, list[dict]]:
    """The address of an embed session's signaling socket, and the TURN servers that its page is given, as a browser takes them."""
    api = f"{gateway.rstrip('/')}/api/v1/public/embed"
    status, _, answer = http("POST", f"{api}/init", {"token": token, **body}, {"Origin": origin})
    assert status == 200, answer
    session = json.loads(answer)["session_token"]
    status, _, answer = http("GET", f"{api}/turn-credentials/{session}")
    given = json.loads(answer)
    servers = [{"urls": given["uris"], "username": given["username"], "credential": given["password"]}] if status == 200 else []
    return f"{gateway.rstrip('/').replace('http', 'ws', 1)}/api/v1/ws/public/signaling/{session}", servers


# With all that there is to log, so that what must not be there is looked for in all of it.
TRACE = ("--log-level", "trace")


class Gateway:
    def __init__(self, config: Path, binary: Path = BINARY, namespace=None):
        self.config, self.binary = config, binary
        self.namespace = namespace
        self.log = config.with_suffix(".log")
        leaks.in_configuration(config)
        command = [binary, "serve", "-c", config, *TRACE]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                namespace.command(*command) if namespace else command,
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=config.parent,
                process_group=0 if namespace else None,
            )
        self.pid = self.process.pid
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._said: list[str] = []
        self._answered: list[tuple[str, str]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.admin = ""
        try:
            self._await_ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _read(self):
        for line in self.process.stdout:
            self._said.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def _await_ready(self, timeout=30):
        deadline = time.monotonic() + timeout
        while not (self.url and self.admin):
            line = self._lines.get(timeout=max(0.1, deadline - time.monotonic()))
            if line is None:
                raise AssertionError(f"the gateway ended with {self.process.wait()}:\n{self.log.read_text()}")
            for start, name in ("Patchbay is listening on ", "url"), ("Admin is listening on ", "admin"):
                if line.startswith(start):
                    setattr(self, name, line.removeprefix(start).strip().rstrip("/"))

    def signaling(self, workflow=2, run=None, *, token=None, query=None) -> str:
        """The address of the signed-in route, for a run that nobody has called unless `run` says which."""
        run = next(FRESH_RUNS) if run is None else run
        query = f"token={token or jwt()}" if query is None else query
        return f"{self.url.replace('http', 'ws', 1)}/api/v1/ws/signaling/{workflow}/{run}?{query}"

    def embed_session(self, token="emb_demo", origin="http://localhost", **body) -> str:
        """Starts an embed session; the address of its signaling socket."""
        status, _, answer = http("POST", f"{self.url}/api/v1/public/embed/init", {"token": token, **body}, {"Origin": origin})
        assert status == 200, answer
        return f"{self.url.replace('http', 'ws', 1)}/api/v1/ws/public/signaling/{json.loads(answer)['session_token']}"

    def ask(self, method: str, path: str, headers=None) -> tuple[int, bytes]:
        """What the admin listener answers, where nothing secret is to be either."""
        with self.namespace.entered() if self.namespace else contextlib.nullcontext():
            status, _, body = http(method, self.admin + path, headers=headers)
        self._answered.append((f"{method} {path}", body.decode()))
        return status, body

    def look(self) -> dict:
        """What the admin listener says about calls."""
        status, body = self.ask("GET", "/calls")
        assert status == 200
        now = json.loads(body)
        return {**now, "peer_connections": now["media"]["connections"]}

    @contextlib.contextmanager
    def nothing_started(self):
        """What happens inside places no call, not even for a moment, and leaves nothing behind."""
        before = self.look()["started"]
        yield
        self.await_idle()
        assert self.look()["started"] == before, "a call was placed"

    @contextlib.contextmanager
    def database(self):
        """Its store, to read and to change what stands there."""
        with contextlib.closing(sqlite3.connect(self.config.with_name("patchbay.db"), timeout=5)) as database, database:
            yield database

    def entry(self, key: str) -> dict | None:
        """What the store has under a key."""
        with self.database() as database:
            found = database.execute("SELECT value FROM entries WHERE key = ?", [key]).fetchone()
        return found and json.loads(found[0])

    def change(self, key: str, **members):
        """Writes members of what the store has under a key, if anything."""
        content = json.dumps({**(self.entry(key) or {}), **members}).encode()
        with self.database() as database:
            statement = "INSERT INTO entries VALUES (?, ?, NULL) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
            database.execute(statement, [key, content])

    def delete(self, key: str):
        with self.database() as database:
            assert database.execute("DELETE FROM entries WHERE key = ?", [key]).rowcount == 1

    def descriptors(self) -> int:
        return len(self._open_files())

    def _open_files(self) -> list[str]:
        files = []
        for each in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed in the meantime
                files.append(str(each.readlink()))
        return files

    def await_descriptors(self, most: int, timeout=10.0):
        """Waits until no more files are open than before. An HTTP connection may stay for its 5 s of keep-alive."""
        deadline = time.monotonic() + timeout
        while len(files := self._open_files()) > most:
            assert time.monotonic() < deadline, f"{len(files)} files are open, not {most}: {sorted(files)}"
            time.sleep(0.1)

    def resident(self) -> int:
        """Resident memory in bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def await_log(self, text: str, timeout=10.0, times=1) -> str:
        """Waits until it has logged `text`, so many times; its log."""
        deadline = time.monotonic() + timeout
        # The last line may be half there.
        while (log := self.log.read_text(errors="replace")).count(text) < times:
            assert time.monotonic() < deadline, f"after {timeout} s not '{text}' but:\n{log[-4000:]}"
            time.sleep(0.05)
        return log

    def await_drain(self, timeout=10.0):
        """Waits until a signal that ends it has come to it: from then on it lets no new caller in."""
        deadline = time.monotonic() + timeout
        while self.ask("GET", "/readyz")[0] != 503:
            assert time.monotonic() < deadline, f"after {timeout} s it still takes calls"
            time.sleep(0.05)

    def await_idle(self, timeout=3.0):
        """Waits until nothing is left of any call."""
        self.await_state(lambda now: not idle_faults(now), timeout)

    def await_state(self, reached, timeout=3.0) -> dict:
        """Waits for it, and for so long: the time in which a busy machine lets nobody ask does not count."""
        slept = 0.0
        while not reached(now := self.look()):
            assert slept < timeout, f"after {timeout} s still {now}"
            time.sleep(0.05)
            slept += 0.05
        return now

    def stop(self) -> int:
        """Ends it as an operator would, and looks for secrets in what it has written; the exit code."""
        leaks.in_configuration(self.config)  # files may have changed
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"SIGTERM did not end the gateway:\n{self.log.read_text()[-4000:]}") from None
        self._reader.join()
        self.process.stdout.close()
        for asked in {asked for asked, _ in self._answered}:
            leaks.check(asked, "\n".join(answer for each, answer in self._answered if each == asked))
        leaks.check("the gateway", self.log.read_text() + "".join(self._said))
        return self.process.returncode


def idle_faults(now: dict) -> list[str]:
    """What is left of calls; nothing when idle."""
    return [name for name in ("calls", "peer_connections", "sockets", "leases") if now[name]]


def begin(*arguments, binary=BINARY, machine=None, **options) -> subprocess.Popen:
    """Starts a command of the program, on a machine of a test's network where one is named. `finish` has what it wrote."""
    words = [binary, *map(str, arguments), *(TRACE if arguments[0] == "serve" else ())]
    config = Path(options.get("cwd") or ".", words[words.index("-c") + 1] if "-c" in words else "config.yaml")
    if config.is_file():
        leaks.in_configuration(config, options.get("env") or os.environ)
    command = machine.command(*words) if machine else words
    return subprocess.Popen(command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options})


def finish(process: subprocess.Popen, what: str, timeout=60) -> subprocess.CompletedProcess:
    """Waits for a command's end, and looks for secrets in what it wrote. `token` prints one, which is its task; `token list`
    prints embed tokens, which pages show."""
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        process.kill()
        process.wait()
    is_list = what == "token" and "list" in process.args
    is_token = what == "token" and not is_list
    if is_token:
        leaks.secret("an embed token" if "embed" in process.args else "what `patchbay token` made", stdout.strip())
    leaks.check(f"patchbay {what}", stderr + ("" if is_token or is_list else stdout))
    if is_list:
        leaks.check("patchbay token list", stdout, but={"an embed token"})
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def patchbay(*arguments, timeout=60, **options) -> subprocess.CompletedProcess:
    """Runs a command of the program to its end."""
    return finish(begin(*arguments, **options), str(arguments[0]), timeout)
