"""Who is let in: by an issuer's keys, by API keys, by an endpoint that decides. The issuer and the endpoint are the tests' own."""

import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway import SECRET, changed_config, free_port, patchbay, upgrade
from test_reload import change, reload

USERS = "type: jwt, algorithms: [HS256], secret: {{ file: {directory}/jwt.secret }}"
ISSUER = changed_config((USERS, 'type: jwt, jwks: "{jwks}", issuer: us, audience: voice'))
ENDPOINT = changed_config(
    (
        USERS,
        'type: http, url: "{endpoint}", timeout: 5s, cache: {cache}, secret_headers: {{ X-Gateway: {{ file: {directory}/jwt.secret }} }}',
    )
)
MACHINES = changed_config((USERS, "type: api_key, store: local, keys: [{keys}]"))


class Server(contextlib.AbstractContextManager):
    """An HTTP server on this machine. `answer` is told the body of each request, and says status, header fields and body."""

    def __init__(self, answer, port=0):
        self.requests = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler):
                length = int(handler.headers.get("content-length", 0))
                body = handler.rfile.read(length).decode()
                self.requests.append((handler.command, handler.path, handler.headers, body))
                status, headers, answered = answer(body)
                with contextlib.suppress(OSError):  # who asked may be gone
                    handler.send_response(status)
                    for name, value in {"Content-Length": str(len(answered)), **headers}.items():
                        handler.send_header(name, value)
                    handler.end_headers()
                    handler.wfile.write(answered)

            do_POST = do_GET

            def log_message(handler, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/path"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, length: int) -> bytes:
    return value.to_bytes(length, "big")


class Key:
    """A private key of an issuer."""

    def __init__(self, algorithm: str, kid: str):
        self.algorithm, self.kid = algorithm, kid
        match algorithm[:2]:
            case "RS" | "PS":
                self.private = rsa.generate_private_key(65537, 2048)
            case "ES":
                self.private = ec.generate_private_key(ec.SECP256R1())
            case _:
                self.private = ed25519.Ed25519PrivateKey.generate()

    @property
    def jwk(self) -> dict:
        public = self.private.public_key()
        match self.algorithm[:2]:
            case "RS" | "PS":
                numbers = public.public_numbers()
                members = {"kty": "RSA", "n": base64url(number(numbers.n, 256)), "e": "AQAB"}
            case "ES":
                numbers = public.public_numbers()
                members = {"kty": "EC", "crv": "P-256", "x": base64url(number(numbers.x, 32)), "y": base64url(number(numbers.y, 32))}
            case _:
                raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
                members = {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw)}
        return {**members, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, text: bytes) -> bytes:
        match self.algorithm[:2]:
            case "RS":
                return self.private.sign(text, padding.PKCS1v15(), hashes.SHA256())
            case "PS":
                return self.private.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
            case "ES":
                r, s = decode_dss_signature(self.private.sign(text, ec.ECDSA(hashes.SHA256())))
                return number(r, 32) + number(s, 32)
            case _:
                return self.private.sign(text)

    def token(self, sign=None, algorithm=None, **claims) -> str:
        now = int(time.time())
        header = {"alg": algorithm or self.algorithm, "kid": self.kid}
        body = {"sub": "7", "iss": "us", "aud": ["voice", "chat"], "iat": now, "exp": now + 600, **claims}
        signed = f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(body).encode())}"
        return f"{signed}.{base64url((sign or self.sign)(signed.encode()))}"


def key_set(*keys: Key) -> tuple[int, dict, bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps({"keys": [key.jwk for key in keys]}).encode()


def status(gateway, token: str, workflow=2) -> int:
    return upgrade(gateway.signaling(workflow, token=token))[0]


def log_without(gateway, *secrets: str):
    """What a credential is made of must not be in the log."""
    log = gateway.log.read_text()
    for secret in secrets:
        assert secret and secret not in log


# An issuer with a key set


@pytest.fixture(scope="module")
def keys() -> dict[str, Key]:
    return {algorithm: Key(algorithm, algorithm.lower()) for algorithm in ("RS256", "PS256", "ES256", "EdDSA")}


@pytest.fixture(scope="module")
def believing(_gateways, keys):
    """A gateway that believes an issuer."""
    with Server(lambda _: key_set(*keys.values())) as issuer:
        yield from _gateways(template=ISSUER, jwks=issuer.url)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_token_of_the_issuer_is_good_and_no_other(believing, keys, algorithm):
    key = keys[algorithm]
    good = key.token()
    assert status(believing, good) == 101
    refused = {
        "another signer": Key(algorithm, key.kid).token(),
        "changed": good[:-8] + ("AAAAAAAA" if not good.endswith("AAAAAAAA") else "BBBBBBBB"),
        "over": key.token(exp=int(time.time()) - 600),
        "to come": key.token(nbf=int(time.time()) + 600),
        "another issuer": key.token(iss="them"),
        "another audience": key.token(aud="chat"),
        "no algorithm": key.token(sign=lambda _: b"", algorithm="none"),
        "the public key as a secret": key.token(
            sign=lambda text: hmac.digest(key.pem(), text, hashlib.sha256), algorithm="HS256"
        ),
        "the name of another key": Key(algorithm, "es256" if algorithm != "ES256" else "rs256").token(),
    }
    with believing.nothing_started():
        for reason, token in refused.items():
            assert status(believing, token) == 403, reason
    believing.await_log("signature does not match")
    log_without(believing, good, good.split(".")[2], refused["another signer"].split(".")[2])


def test_a_new_key_of_the_issuer_is_good_at_once_and_a_made_up_one_makes_nobody_ask(start):
    old, new = Key("ES256", "old"), Key("ES256", "new")
    published = [old]
    with Server(lambda _: key_set(*published)) as issuer:
        gateway = start(template=ISSUER, jwks=issuer.url)
        assert status(gateway, old.token()) == 101
        assert len(issuer.requests) == 1
        published.append(new)
        assert status(gateway, new.token()) == 101
        assert len(issuer.requests) == 2
        begun = time.monotonic()
        for attempt in range(30):
            assert status(gateway, Key("ES256", f"made-up-{attempt}").token()) == 403
        assert len(issuer.requests) <= 2 + (time.monotonic() - begun) // 30, "once in half a minute"
        assert status(gateway, old.token()) == 101


def test_a_gateway_starts_without_the_issuer_finds_it_and_does_without_it_again(start):
    key = Key("ES256", "only")
    with Server(lambda _: key_set(key), free_port()) as issuer:
        port, url = issuer.port, issuer.url
    gateway = start(template=ISSUER, jwks=url)
    assert status(gateway, key.token()) == 503
    with Server(lambda _: key_set(key), port):
        gateway.await_log("the key set has changed", timeout=20)
        assert status(gateway, key.token()) == 101
    assert status(gateway, key.token()) == 101
    assert status(gateway, Key("ES256", "unknown").token()) == 503, "it may be a new one"
    change(gateway, "audience: voice", "audience: voice, leeway: 10s")
    assert reload(gateway)[1]["made"] == 1
    assert status(gateway, key.token()) == 101, "the new instance has the keys of the one before it"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((200, {}, b"<html>Bad Gateway</html>"), id="no JSON"),
        pytest.param((200, {}, b" " * 65_537), id="too long"),
        pytest.param((200, {}, json.dumps({"keys": [{}] * 33}).encode()), id="too many keys"),
        pytest.param((404, {}, b'{"keys":[]}'), id="not found"),
        pytest.param(None, id="elsewhere"),
        pytest.param("late", id="late"),
    ],
)
def test_an_issuer_that_answers_with_no_key_set_is_no_issuer(start, answer):
    key = Key("ES256", "only")

    def late(_):
        time.sleep(6)
        return key_set(key)

    with Server(lambda _: key_set(key)) as elsewhere:
        redirect = 302, {"Location": elsewhere.url}, b""
        with Server(late if answer == "late" else lambda _: answer or redirect) as issuer:
            gateway = start(template=ISSUER, jwks=issuer.url)
            gateway.await_log("the key set cannot be fetched")
            assert f" jwks={issuer.url.removesuffix('/path')}" in gateway.log.read_text()
            assert status(gateway, key.token()) == 503
        assert not elsewhere.requests


def test_a_token_cannot_be_minted_without_a_secret(believing):
    run = patchbay("token", "jwt", "-c", believing.config, "--user", "7", cwd=believing.config.parent)
    assert run.returncode == 64 and not run.stdout
    assert "private" in run.stderr


# API keys


def test_an_api_key_that_the_command_makes_is_good_where_its_hash_stands(start):
    first = start(template=MACHINES, keys="")
    words = ["--user", "checker", "--org", "9", "--workflow", "2", "--expires", "30d"]
    made = patchbay("token", "api-key", "-c", first.config, *words, cwd=first.config.parent)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert key.startswith("key_") and key not in made.stderr
    line = made.stderr.strip().splitlines()[-1].strip().removeprefix("- ")
    assert hashlib.sha256(key.encode()).hexdigest() in line
    with first.nothing_started():
        assert upgrade(first.signaling(query=f"api_key={key}"))[0] == 403, "nobody has put it there yet"

    gateway = start(template=MACHINES, keys=line)
    assert upgrade(gateway.signaling(2, query=f"api_key={key}"))[0] == 101
    assert upgrade(gateway.signaling(2, query="x=1"), {"X-API-Key": key})[0] == 101
    with gateway.nothing_started():
        assert upgrade(gateway.signaling(3, query=f"api_key={key}"))[0] == 403, "it is for workflow 2"
        for other in key[:-1], key + "0", key.upper(), hashlib.sha256(key.encode()).hexdigest(), "key_", "%C3%A9":
            assert upgrade(gateway.signaling(2, query=f"api_key={other}"))[0] == 403
        assert upgrade(gateway.signaling(2, query=f"token={key}"))[0] == 403, "a key is no token"
    log_without(gateway, key)


def test_an_api_key_that_is_saved_is_good_at_once_and_until_it_is_taken_out(start):
    gateway = start(template=MACHINES, keys="")
    made = patchbay(
        "token", "api-key", "-c", gateway.config, "--user", "checker", "--save", cwd=gateway.config.parent
    )
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    place = f"api_key:{hashlib.sha256(key.encode()).hexdigest()}"
    assert gateway.entry(place)["user"] == "checker"
    assert upgrade(gateway.signaling(query=f"api_key={key}"))[0] == 101
    gateway.change(place, expires="2020-01-01")
    assert upgrade(gateway.signaling(query=f"api_key={key}"))[0] == 403
    gateway.change(place, expires=None)
    assert upgrade(gateway.signaling(query=f"api_key={key}"))[0] == 101
    gateway.delete(place)
    assert upgrade(gateway.signaling(query=f"api_key={key}"))[0] == 403
    assert key.encode() not in gateway.config.with_name("patchbay.db").read_bytes()
    log_without(gateway, key)


def test_a_saved_api_key_is_revoked_by_the_hash_that_the_command_said(start):
    gateway = start(template=MACHINES, keys="")

    def token(*words):
        return patchbay("token", *words, "-c", gateway.config, cwd=gateway.config.parent)

    for by_hash in True, False:
        made = token("api-key", "--user", "checker", "--save")
        key = made.stdout.strip()
        assert upgrade(gateway.signaling(query=f"api_key={key}"))[0] == 101
        saved = made.stderr.strip().splitlines()[-1]
        assert saved.startswith("saved as key-") and " in store local, under api_key:" in saved
        taken = token("revoke", saved.rpartition(":")[2] if by_hash else key)
        assert (taken.returncode, taken.stdout) == (0, ""), taken.stderr
        assert taken.stderr.strip().splitlines()[-1] == "revoked in users"
        assert upgrade(gateway.signaling(query=f"api_key={key}"))[0] == 403
        again = token("revoke", "--instance", "users", key)
        assert again.returncode == 64 and "'users'" in again.stderr and key not in again.stderr


def test_what_is_known_is_listed_by_what_revokes_it_and_so_is_what_cannot_be_read(start):
    configured = hashlib.sha256(b"a key of test_auth").hexdigest()
    gateway = start(template=MACHINES, keys=f'{{ id: nightly, hash: "sha256:{configured}", user: checker }}')

    def token(*words):
        run = patchbay("token", *words, "-c", gateway.config, cwd=gateway.config.parent)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    def listed(*words):
        return {each["name"]: each for each in json.loads(token("list", "--json", *words))}

    key = token("api-key", "--user", "robot", "--workflow", "2", "--expires", "30d", "--save")
    embed = token("embed", "--workflow", "2", "--user", "7", "--org", "acme", "--usage-limit", "9", "--save")
    gateway.embed_session(embed)
    gateway.change("embed_token:token:emb_odd", workflow="2", owner="7")
    gateway.change("embed_token:token:emb_theirs", workflow=2, owner="7", instance="elsewhere")
    gateway.change(f"api_key:{'0' * 64}", user="robot", expiry="2030-01-01")

    found = listed()
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert set(found) == {"emb_demo", "emb_echo", "emb_player", embed, "emb_odd", configured, digest, "0" * 64}
    expected = {"type": "embed_token", "instance": "embeds", "name": embed, "id": None, "source": "store", "store": "local"}
    expected |= {"user": "7", "organization": "acme", "workflow": 2, "expires": None, "active": True, "uses": 1, "usage_limit": 9}
    assert found[embed] == {**expected, "fault": None}
    assert (found[digest]["user"], found[digest]["workflow"], found[digest]["id"]) == ("robot", 2, f"key-{digest[:8]}")
    assert found[digest]["expires"].endswith("Z") and found[digest]["instance"] == "users"
    assert found["emb_demo"]["source"] == found[configured]["source"] == "configuration"
    assert found["emb_odd"]["fault"] == "'workflow' is not what it should be"
    assert found["0" * 64]["fault"] == "unknown key 'expiry'"
    assert set(listed("--instance", "users")) == {configured, digest, "0" * 64}

    _, *lines = token("list").splitlines()
    assert len(lines) == len(found)
    for name, each in found.items():
        [line] = [line for line in lines if f" {name} " in line]
        assert line.endswith(f" faulty: {each['fault']}" if each["fault"] else " good")
        assert key not in line
        if each["source"] == "store":
            token("revoke", name)
    assert set(listed()) == {"emb_demo", "emb_echo", "emb_player", configured}

    nobody = patchbay("token", "list", "--instance", "nobody", "-c", gateway.config, cwd=gateway.config.parent)
    assert nobody.returncode == 64 and "nobody" in nobody.stderr and not nobody.stdout


def test_of_a_store_in_memory_a_list_says_that_only_the_gateway_sees_it(start):
    gateway = start(template=changed_config(("type: sqlite, path: {directory}/patchbay.db", "type: memory")))
    run = patchbay("token", "list", "--json", "-c", gateway.config, cwd=gateway.config.parent)
    assert run.returncode == 0 and "'embeds' is in memory" in run.stderr
    assert {(each["source"], each["uses"]) for each in json.loads(run.stdout)} == {("configuration", None)}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        pytest.param(["api-key", "--user", "x", "--lifetime", "4h"], "say --expires", id="key with a lifetime"),
        pytest.param(["embed", "--lifetime", "4h"], "say --expires", id="embed token with a lifetime"),
        pytest.param(["jwt", "--user", "7", "--expires", "30d"], "say --lifetime", id="JWT that expires"),
        pytest.param(["jwt", "--user", "7", "--workflow", "2"], "no --workflow", id="JWT for a workflow"),
        pytest.param(["jwt", "--user", "7", "--save"], "no --save", id="JWT that is saved"),
        pytest.param(["api-key", "--user", "x", "--domain", "a.example"], "for embed", id="key for a page"),
        pytest.param(["api-key", "--user", "x", "--usage-limit", "4"], "for embed", id="key with a limit"),
        pytest.param(["embed", "--usage-limit", "0"], "1 or more", id="no use"),
    ],
)
def test_an_option_that_a_credential_cannot_have_is_an_error(gateway, words, hint):
    run = patchbay("token", *words, "-c", gateway.config, cwd=gateway.config.parent)
    assert run.returncode == 64 and hint in run.stderr and not run.stdout


def test_an_api_key_is_somebodys(start):
    gateway = start(template=MACHINES, keys="")
    run = patchbay("token", "api-key", "-c", gateway.config, cwd=gateway.config.parent)
    assert run.returncode == 64 and "--user" in run.stderr and not run.stdout


# An endpoint that decides

ANSWERS = {  # by token: what the endpoint says, and what becomes of the caller
    "good": ((200, {}, b'{"user":"7","organization":"acme"}'), 101),
    "for-workflow-2": ((200, {}, b'{"user":"7","workflow_id":2}'), 101),
    "for-workflow-3": ((200, {}, b'{"user":"7","workflow_id":3}'), 403),
    "over": ((200, {}, b'{"user":"7","expires":1}'), 403),
    "unauthorized": ((401, {}, b""), 403),
    "forbidden": ((403, {}, b'{"code":"plan_expired","message":"The plan is over"}'), 403),
    "unknown": ((204, {}, b""), 403),
    "nobody": ((200, {}, b"{}"), 503),
    "no-json": ((200, {}, b"ok"), 503),
    "error": ((500, {}, b'{"user":"7"}'), 503),
    "too-long": ((200, {}, b'{"user":"7"}' + b" " * 16_384), 503),
    "elsewhere": ((302, {"Location": "/elsewhere"}, b""), 503),
    "late": ((200, {}, b'{"user":"7"}'), 503),
}


@pytest.fixture(scope="module")
def endpoint():
    def answer(body):
        token = json.loads(body)["token"]
        if token == "late":
            time.sleep(3)
        return ANSWERS.get(token, ((500, {}, b""), 503))[0]

    with Server(answer) as server:
        yield server


@pytest.fixture(scope="module")
def asking(_gateways, endpoint):
    """A gateway that asks it, and does not wait for long."""
    yield from _gateways(template=ENDPOINT.replace("timeout: 5s", "timeout: 1s"), endpoint=endpoint.url, cache="0s")


@pytest.mark.alone
@pytest.mark.parametrize("token", ANSWERS)
def test_the_endpoint_decides(asking, endpoint, token):
    before = len(endpoint.requests)
    started = time.monotonic()
    assert status(asking, token) == ANSWERS[token][1]
    assert time.monotonic() - started < 2.5
    assert len(endpoint.requests) == before + 1
    method, path, headers, body = endpoint.requests[-1]
    assert (method, path, headers["X-Gateway"]) == ("POST", "/path", SECRET)
    question = json.loads(body)
    assert question.pop("workflow_run_id") > 0
    assert question == {
        "tenant": "default", "token": token, "api_key": None, "origin": None, "workflow_id": 2, "remote_address": "127.0.0.1",
    }


def test_the_endpoint_is_not_asked_about_nothing(asking, endpoint):
    before = len(endpoint.requests)
    assert upgrade(asking.signaling(query="x=1"))[0] == 403
    assert len(endpoint.requests) == before


def test_what_the_endpoint_was_asked_is_not_in_the_log(asking):
    token = "bearer-of-a-secret-that-is-in-no-log"
    assert status(asking, token) == 503
    asking.await_log("cannot tell who is calling")
    assert status(asking, "forbidden") == 403
    asking.await_log("The plan is over")
    log_without(asking, token, SECRET)


def test_who_was_let_in_is_remembered_for_the_same_question(start, endpoint):
    gateway = start(template=ENDPOINT, endpoint=endpoint.url, cache="5m")
    before = len(endpoint.requests)
    url = gateway.signaling(token="good")
    assert [upgrade(url)[0] for _ in range(3)] == [101] * 3
    assert len(endpoint.requests) == before + 1
    assert status(gateway, "good") == 101, "another run"
    assert len(endpoint.requests) == before + 2
    url = gateway.signaling(token="forbidden")
    assert [upgrade(url)[0] for _ in range(2)] == [403] * 2
    assert len(endpoint.requests) == before + 4
