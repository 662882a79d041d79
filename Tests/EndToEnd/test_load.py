"""The program's own caller: twenty calls at once, what it says of one, as whom it calls, and whom it asks for a way."""

import contextlib
import json
import os
import wave

import pytest

import speech
from gateway import BINARY, changed_config, jwt, patchbay, with_turn
from test_auth import MACHINES, log_without


# Milliseconds: from saying to hearing by way of the echo, and until a call is up. On an idle machine 17 to 30, and 8 to 15.
LATENCY = 90 if "release" in BINARY.parts else 200
SET_UP = 60 if "release" in BINARY.parts else 200


def call(*arguments, seconds: int) -> dict:
    run = patchbay("call", *arguments, "--seconds", seconds, "--json", timeout=seconds + 30)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


@pytest.mark.alone
@pytest.mark.long
def test_twenty_calls_at_once_lose_nothing_and_keep_time(start, noisy):
    """For as long as the first and the last 15 s, whose latencies are reported, are apart."""
    gateway, seconds = start(), 32
    report = call(f"{gateway.url}/", "--token", "emb_echo", "--in", noisy["harbour"], "--calls", 20, seconds=seconds)
    print(json.dumps(report["summary"]))
    assert report["summary"]["calls"] == report["summary"]["connected"] == len(report["calls"]) == 20
    for each in report["calls"]:
        assert each["connected"] and each["error"] is None
        assert each["packets_lost"] == each["remote_lost"] == 0, each
        assert abs(each["packets_sent"] / each["seconds"] - 50) < 1.5, each
        assert abs(each["packets_received"] / each["seconds"] - 50) < 1.5, each
        assert each["gap_p99_ms"] < 40, each
        assert 0 < each["latency_ms"] < LATENCY, each
    gateway.await_idle()


@pytest.mark.alone
def test_the_caller_keeps_what_it_heard(gateway, sentences, noisy, tmp_path):
    heard = tmp_path / "heard.wav"
    report = call(
        gateway.signaling(run=5), "--in", noisy["winter"], "--out", heard, seconds=8
    )
    speech.assert_heard("winter", sentences, speech.read(heard))
    with wave.open(str(heard)) as file:
        assert abs(file.getnframes() / file.getframerate() - 8) < 0.5
    latency = report["calls"][0]["latency_ms"]
    print(f"mouth to ear through the echo: {latency} ms")
    assert 0 < latency < LATENCY
    assert report["calls"][0]["setup_ms"] < SET_UP


def test_the_caller_says_why_it_did_not_get_through(gateway):
    run = patchbay("call", gateway.signaling(token="nonsense"), "--seconds", 1, "--json")
    report = json.loads(run.stdout)
    assert run.returncode != 0
    assert report["summary"]["connected"] == 0 and report["calls"][0]["error"]


def test_the_caller_by_its_minted_token(gateway):
    run = patchbay("token", "jwt", "-c", gateway.config, "--user", "7", "--lifetime", "1h", cwd=gateway.config.parent)
    assert run.returncode == 0, run.stderr
    url = gateway.signaling(run=6, query="")
    assert call(url.rstrip("?"), "--token", run.stdout.strip(), seconds=1)["summary"]["connected"] == 1


def refused(*arguments) -> tuple[str, str]:
    """What the caller reads of a call that is not let in, on standard output and on standard error."""
    run = patchbay("call", *arguments, "--seconds", 1)
    assert run.returncode == 70, run.stdout + run.stderr
    return run.stdout.strip(), run.stderr.strip()


FORBIDDEN = (
    "not connected: the server refused the WebSocket with HTTP 403: the path, the credential or the origin is not good, "
    "and the gateway's log says which"
)


def where(gateway) -> str:
    """The signed-in route of a new run, without a credential."""
    return gateway.signaling(query="").rstrip("?")


def test_the_caller_by_an_api_key(start):
    gateway = start(template=MACHINES, keys="")
    made = patchbay("token", "api-key", "-c", gateway.config, "--user", "checker", "--save", cwd=gateway.config.parent)
    assert made.returncode == 0, made.stderr
    key, wrong = made.stdout.strip(), "key_of_nobody_at_all"
    assert call(where(gateway), "--api-key", key, seconds=1)["summary"]["connected"] == 1
    assert call(where(gateway), "--api-key", key, "--token", "nonsense", seconds=1)["summary"]["connected"] == 1
    (file := gateway.config.parent / "key").write_text(f"{key}\n")
    assert call(where(gateway), "--api-key", f"@{file}", seconds=1)["summary"]["connected"] == 1
    reading, writing = os.pipe()
    os.write(writing, key.encode())
    os.close(writing)
    run = patchbay("call", where(gateway), "--api-key", f"@/dev/fd/{reading}", "--seconds", 1, pass_fds=[reading])
    os.close(reading)
    assert run.returncode == 0, run.stdout + run.stderr
    for option in [], ["--no-turn"]:
        said, told = refused(where(gateway), "--api-key", wrong, *option)
        assert said == FORBIDDEN and wrong not in told
        assert told == ("" if option else 'warning: no TURN credentials: HTTP 401 {"detail":"Invalid or expired API key"}')
    gateway.await_log("Invalid or expired API key")
    log_without(gateway, key, wrong)


def test_the_caller_of_a_host_whose_name_does_not_lead_here(start):
    gateway = start(template=changed_config(("match: any", "match: {{ host: voice.acme.example }}")))
    words = where(gateway), "--token", jwt()
    assert refused(*words)[0] == FORBIDDEN
    assert call(*words, "--host", "voice.acme.example:443", seconds=1)["summary"]["connected"] == 1
    page = f"{gateway.url}/", "--token", "emb_echo"
    assert call(*page, "--host", "voice.acme.example", seconds=1)["summary"]["connected"] == 1


def test_the_caller_as_a_page_of_another_host(start):
    origins = "playground: emb_demo", "playground: emb_demo\n    origins: [app.example]"
    gateway = start(template=changed_config(origins))
    for page in [], ["--origin", "https://app.example"]:
        assert call(where(gateway), "--token", jwt(), *page, seconds=1)["summary"]["connected"] == 1
    for page in "https://evil.example", "null":
        said, told = refused(where(gateway), "--token", jwt(), "--origin", page)
        assert (said, told) == (FORBIDDEN, 'warning: no TURN credentials: HTTP 403 {"detail":"Origin not allowed"}')
        gateway.await_log(f"origin={page} ")


def test_the_caller_as_an_embed_page(start):
    shop = "emb_echo, workflow: 2", "emb_echo, workflow: 2, allowed_domains: [shop.example]"
    gateway = start(template=changed_config(shop))
    words = f"{gateway.url}/", "--token", "emb_echo"
    assert call(*words, "--origin", "https://shop.example", seconds=1)["summary"]["connected"] == 1
    for page, shown in ([], gateway.url), (["--origin", "https://evil.example"], "https://evil.example"):
        said, told = refused(*words, *page)
        assert said.startswith("not connected: the gateway started no session: HTTP 403 ") and not told
        assert f"Domain not allowed: {shown}" in said


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        pytest.param(["http://127.0.0.1:1/", "--api-key", "k"], "--api-key is for ws://", id="a page with a key"),
        pytest.param(["ws://127.0.0.1:1/", "--api-key", ""], "--api-key goes into a header", id="no key"),
        pytest.param(["ws://127.0.0.1:1/", "--api-key", "@/nowhere"], "'/nowhere'", id="a key in no file"),
        pytest.param(["ws://127.0.0.1:1/", "--host", "https://shop.example"], "voice.example.org", id="no host"),
        pytest.param(["ws://127.0.0.1:1/", "--origin", "shop.example"], "such as https://shop.example", id="no origin"),
    ],
)
def test_what_the_caller_cannot_show_is_usage(words, hint):
    run = patchbay("call", *words)
    assert run.returncode == 64 and hint in run.stderr and not run.stdout


BINDING, ALLOCATE = 0x0001, 0x0003


@pytest.mark.parametrize("signed_in", [True, False], ids=["JWT", "embed"])
@pytest.mark.parametrize("option", [[], ["--no-turn"], ["--no-turn", "--stun"]], ids=" ".join)
def test_the_caller_asks_the_servers_that_a_page_would(start, turn_server, signed_in, option):
    gateway = start(template=with_turn(turn_server))
    where = [gateway.signaling(query="").rstrip("?"), "--token", jwt()] if signed_in else [f"{gateway.url}/", "--token", "emb_echo"]
    words = [*option, *[f"stun:127.0.0.1:{turn_server.getsockname()[1]}"] * ("--stun" in option)]
    assert call(*where, *words, seconds=1)["summary"]["connected"] == 1
    turn_server.settimeout(0.2)
    asked = set()
    with contextlib.suppress(TimeoutError):
        while True:
            asked.add(int.from_bytes(turn_server.recv(2048)[:2]))
    assert asked == ({BINDING, ALLOCATE} if not option else {BINDING} if "--stun" in option else set())


def test_a_stun_server_is_written_as_one():
    run = patchbay("call", "http://127.0.0.1:1/", "--stun", "turn:127.0.0.1")
    assert run.returncode == 64 and "--stun is followed by stun:HOST or stun:HOST:PORT" in run.stderr


def test_a_file_that_cannot_be_said_is_named(tmp_path):
    sound = tmp_path / "old.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 22_050, 0, "NONE", ""))
        file.writeframes(bytes(2000))
    for file, why in (sound, "it has 22050 samples a second; convert it to 8000, 16000"), (tmp_path / "none.wav", "No such file"):
        run = patchbay("call", "http://127.0.0.1:1/", "--in", file)
        assert run.returncode == 70 and run.stderr.startswith(f"error: cannot play {file}: {why}"), run.stderr
