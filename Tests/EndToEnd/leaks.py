"""What is secret of all that tests give to gateways and get from them, and the search for it in what these have written."""

import contextlib
import json
import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

SHORTEST = 16  # what is shorter nobody would use, and it may stand in a log for another reason
_names: dict[str, str] = {}  # of each secret, by each way to write it


def secret(name: str, value: str) -> str:
    """Remembers a secret under the name by which it is told when it is found. Hands it back."""
    if len(value) >= SHORTEST:
        for written in value, quote(value, safe=""), json.dumps(value)[1:-1]:
            _names.setdefault(written, name)
    return value


def found(text: str) -> set[str]:
    """The names of the secrets that stand in a text."""
    return {name for written, name in _names.items() if written in text}


def check(whose: str, text: str, but=frozenset()):
    """Says where a secret stands, and not what it is: what tests say is kept, too. Those of the names in `but` may stand there."""
    if names := found(text) - but:
        lines = [line for line in text.splitlines() if found(line) - but]
        for written, name in _names.items():
            lines = [line.replace(written, f"<{name}>") for line in lines]
        raise AssertionError(f"{whose} has written {', '.join(sorted(names))}:\n" + "\n".join(lines[:20]))


# MARK: - Where secrets are


def in_token(token: str):
    """A bearer token: of a JWT the signature, without which the rest is of no use, and which is looked for by itself."""
    secret("a bearer token", token.rpartition(".")[2])


def in_request(url: str, headers=None):
    """The credentials in an address and in header fields."""
    where = urlsplit(url)
    if session := re.search("emb_session_[^/]*", where.path):
        secret("a session token", session[0])
    for name, value in [*parse_qsl(where.query), *(headers or {}).items()]:
        match name.lower():
            case "token":
                in_token(value)
            case "api_key" | "x-api-key":
                secret("an API key", value)
            case "authorization" | "sec-websocket-protocol":
                secret(f"what was shown as {name}", value.rpartition(" ")[2].rpartition(".")[2])


def in_body(body: bytes | None):
    """What pages send, and what they are given."""
    for member, name in (b"session_token", "a session token"), (b"password", "a TURN password"), (b"token", "an embed token"):
        for value in re.findall(b'"%s": ?"([^"]*)"' % member, body or b""):
            secret(name, value.decode())


def in_message(message: str | bytes):
    """What goes over a signaling socket, either way."""
    in_body(message if isinstance(message, bytes) else message.encode(errors="replace"))
    with contextlib.suppress(ValueError, TypeError, LookupError):  # others are about no description
        in_description(json.loads(message)["payload"]["sdp"])


def in_description(sdp):
    for password in re.findall(r"a=ice-pwd:(\S+)", sdp if isinstance(sdp, str) else ""):
        secret("an ICE password", password)


def in_configuration(path: Path, environment=os.environ):
    """What the configuration has from files and from the environment."""
    text = path.read_text(errors="replace")
    for file in re.findall(r"\bfile: *([^\s,}]+)", text):
        if (path.parent / file).is_file():
            content = (path.parent / file).read_text(errors="replace").strip()
            if "PUBLIC KEY" not in content:
                secret(f"what is in {Path(file).name}", content)
    for variable in re.findall(r"\benv: *(\w+)", text):
        secret(f"what is in ${variable}", environment.get(variable, ""))
