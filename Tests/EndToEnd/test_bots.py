"""Bots on a WebSocket: good ones, and those that die, stop, flood and lie."""

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import speech
from bot import SWEEP_BY, SWEEP_FROM, Bot
from browser import chromium, open_caller, record
from gateway import PASSPHRASE, ROOT, SECRET, Gateway, changed_config, free_port, free_ports, http, patchbay
from peer import calling, in_call

ANNOUNCED = 0.05  # the announcement is louder than this


@pytest.fixture(scope="module")
def announcement(tmp_path_factory):
    """A second of a tone that no bot has."""
    seconds = np.arange(speech.RATE) / speech.RATE
    return speech.write(tmp_path_factory.mktemp("announcement") / "gone.wav", 0.3 * np.sin(2 * np.pi * 1200 * seconds))


@pytest.fixture
def with_bot(start):
    """Starts a gateway whose workflow 2 is answered by a bot at `url`."""

    def make(url, more="", dialect="pcm", **changes):
        bot = f"echo: {{{{ type: websocket, dialect: {dialect}, url: '{url}'{more} }}}}"
        return start(template=changed_config(("echo: {{ type: echo }}", bot)), **changes)

    return make


DOCUMENTED = {"python": ("bot.py", [sys.executable]), "js": ("bot.mjs", ["node"])}


@pytest.fixture(params=DOCUMENTED)
def documented(request, tmp_path):
    """A bot that the documents show, as a process; its port."""
    blocks = re.findall(rf"^```{request.param}\n(.*?)^```$", (ROOT / "docs/bots.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    name, command = DOCUMENTED[request.param]
    (tmp_path / name).write_text(blocks[0])
    (tmp_path / "node_modules").symlink_to("/usr/share/nodejs")
    port = free_port()
    process = subprocess.Popen(
        [*command, name], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env={**os.environ, "PORT": str(port)}
    )
    assert "listening" in process.stdout.readline()
    yield f"ws://127.0.0.1:{port}/", process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.alone
def test_the_bots_of_the_documents_repeat_the_caller_and_are_interrupted(with_bot, documented, sentences):
    url, process = documented
    gateway = with_bot(url)
    said = speech.read(sentences["winter"])[: 7 * speech.RATE]
    # It answers from about 7 s on, for 5 s; a second sentence then speaks into it.
    said = np.concatenate([said, np.zeros(speech.RATE), said])

    async def call():
        async with in_call(gateway.signaling(), said) as caller:
            await asyncio.sleep(12)
            return caller.heard()

    heard = asyncio.run(call())
    gateway.await_idle()
    process.terminate()
    said = process.stdout.read()
    assert "answer 1 cleared" in said, said
    begin = speech.spoken_part(speech.read(sentences["winter"]))[: int(1.2 * speech.RATE)]
    score, _ = speech.likeness(begin, heard)
    assert score >= speech.SAME, f"the beginning of the sentence scores {score:.2f}"


@pytest.mark.alone
@pytest.mark.parametrize("documented", ["python"], indirect=True)
def test_the_commands_of_the_documents_are_a_call_to_a_bot(documented, tmp_path):
    """With the configuration as it stands there: no address of its media is given. Only the ports are others."""
    url, _ = documented
    text = (ROOT / "docs/bots.md").read_text()
    yaml = re.search(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    _, serve, call = re.search(r"^```sh\n(python3 bot\.py\n.*?)^```$", text, re.MULTILINE | re.DOTALL)[1].splitlines()
    assert serve == "patchbay serve -c config.yaml"
    assert yaml.count("ws://127.0.0.1:9100/") == 1 and call.count("ws://127.0.0.1:8080/") == 1
    ports = f"server: {{ listen: 127.0.0.1:0, admin: 127.0.0.1:0 }}\nmedia: {{ ports: {free_ports()} }}\n"
    (tmp_path / "config.yaml").write_text(yaml.replace("ws://127.0.0.1:9100/", url) + ports)
    gateway = Gateway(tmp_path / "config.yaml")
    try:
        words = call.replace("ws://127.0.0.1:8080", gateway.url.replace("http", "ws", 1)).split()
        run = patchbay(*words[1:], cwd=tmp_path)
        assert run.returncode == 0 and "hung up after 10.0 s" in run.stdout, run.stdout + run.stderr
        assert (np.abs(speech.read(tmp_path / "heard.wav")) > 0.1).any(), "the bot said nothing"
        gateway.await_idle()
    finally:
        gateway.stop()


def place(gateway, *options) -> dict:
    """How a call of `patchbay call` went."""
    run = patchbay("call", gateway.signaling(), "--json", *options)
    assert run.stdout, run.stderr
    return json.loads(run.stdout)["calls"][0]


@pytest.mark.alone
def test_patchbay_call_tells_what_became_of_the_bot(with_bot):
    with Bot("crash") as bot:
        gateway = with_bot(bot.url)
        call = place(gateway, "--seconds", 20)
        assert call["connected"] and call["error"] is None and call["end"] == "pipeline_failed", call
        assert 0.8 < call["seconds"] < 5, call
        gateway.await_idle()


def test_patchbay_call_lets_a_bot_say_what_it_likes(with_bot, noisy):
    with Bot("tell") as bot:
        gateway = with_bot(bot.url)
        call = place(gateway, "--in", noisy["harbour"], "--seconds", 4)
        assert call["error"] is None and call["end"] == "hung up" and call["packets_received"] > 40, call
        gateway.await_idle()


async def end_of(caller, timeout=3.0) -> dict:
    return await caller.message("call-ended", timeout=timeout)


def loudness(samples: np.ndarray, frequency: float) -> np.ndarray:
    """Of one tone, every 20 ms."""
    count = len(samples) // 960
    time_of = np.arange(960) / speech.RATE
    frames = samples[: count * 960].reshape(count, 960)
    return 2 * np.abs(frames @ np.exp(-2j * np.pi * frequency * time_of)) / 960


@pytest.mark.alone
def test_a_bot_hears_and_is_heard(with_bot, sentences):
    with Bot("echo") as bot:
        gateway = with_bot(bot.url)
        said = speech.read(sentences["kitchen"])[: 7 * speech.RATE]

        async def call():
            async with in_call(gateway.signaling(), said) as caller:
                await asyncio.sleep(8)
                return caller.heard()

        speech.assert_heard("kitchen", sentences, asyncio.run(call()))
        gateway.await_idle()
        start = json.loads(bot.process.stdout.readline())
        assert start["sampleRate"] == 16_000 and start["mixType"] == "mono"


def test_a_bot_is_called_at_the_address_and_with_the_header_fields_that_are_set(with_bot):
    """With the call's names in their places; and the secrets are for the bot alone."""
    places = "/{{tenant}}/{{call_id}}?to={{workflow_id}}&run={{workflow_run_id}}&v=1"
    secrets = ", token: {{ file: {directory}/jwt.secret }}, secret_headers: {{ Api-Key: {{ file: {directory}/ada.secret }} }}"
    with Bot("called") as bot:
        gateway = with_bot(bot.url + places, secrets + ", headers: {{ X-Team: voice 7 }}")

        async def call():
            async with in_call(gateway.signaling(workflow=2, run=77)) as caller:
                await caller.hears(25)

        asyncio.run(call())
        gateway.await_idle()
        start, asked = (json.loads(bot.process.stdout.readline()) for _ in range(2))
    assert re.fullmatch("[0-9a-f-]{36}", start["callSid"])
    assert asked["path"] == f"/call/default/{start['callSid']}?to=2&run=77&v=1"
    sent = {name: asked["headers"].get(name) for name in ("authorization", "api-key", "x-team")}
    assert sent == {"authorization": f"Bearer {SECRET}", "api-key": PASSPHRASE, "x-team": "voice 7"}
    log = gateway.log.read_text()
    assert SECRET not in log and PASSPHRASE not in log


@pytest.mark.alone
def test_a_bot_that_is_done_ends_the_call_when_it_was_heard(with_bot):
    with Bot("goodbye") as bot:
        gateway = with_bot(bot.url)

        async def call():
            async with in_call(gateway.signaling()) as caller:
                ended = await end_of(caller, 5)
                assert ended["reason"] == "pipeline_finished"
                assert (loudness(caller.heard(), 440) > 0.1).sum() >= 45, "a second of tone"
                assert await caller.closed() == (1000, "call ended")

        asyncio.run(call())
        gateway.await_idle()


def test_a_bot_that_is_lost_before_it_spoke_is_called_once_more(with_bot):
    with Bot("once") as bot:
        gateway = with_bot(bot.url)

        async def call():
            async with in_call(gateway.signaling()) as caller:
                await caller.hears(50)

        asyncio.run(call())
        gateway.await_log("bot lost before it spoke; trying again")
        gateway.await_idle()


@pytest.mark.alone
@pytest.mark.parametrize("announces", [True, False])
@pytest.mark.parametrize("fate", ["killed", "stopped", "garbage", "crash"])
def test_a_bot_that_is_lost_ends_the_call_in_3_s(with_bot, announcement, fate, announces):
    """The caller hears so, or the call ends; and what it held is given back."""
    with Bot({"killed": "echo", "stopped": "echo"}.get(fate, fate)) as bot:
        gateway = with_bot(bot.url, f", announcement: '{announcement}'" if announces else "", seats=1)

        async def call():
            async with in_call(gateway.signaling()) as caller:
                await caller.hears(25)
                if fate == "killed":
                    bot.signal(signal.SIGKILL)
                elif fate == "stopped":
                    bot.signal(signal.SIGSTOP)
                else:
                    await asyncio.sleep(1)
                begun, frames = time.monotonic(), len(caller.frames)
                if announces:
                    while not (loudness(caller.heard()[-speech.RATE // 2 :], 1200) > ANNOUNCED).any():
                        assert time.monotonic() - begun < 3, "no announcement"
                        await asyncio.sleep(0.02)
                    print(f"{fate}: announced after {time.monotonic() - begun:.2f} s")
                ended = await end_of(caller, 3 + announces * 1.5)
                print(f"{fate}: ended after {time.monotonic() - begun:.2f} s")
                assert ended["reason"] == "pipeline_failed"
                errors = [each["payload"] for each in caller.events if each["type"] == "rtf-pipeline-error"]
                assert [each["fatal"] for each in errors] == [True], errors
                assert await caller.closed() == (1000, "call ended")

        asyncio.run(call())
        gateway.await_idle()
        assert gateway.look()["leases"] == 0
        if fate == "garbage":
            _, line = (bot.process.stdout.readline() for _ in range(2))
            assert line.startswith("closed with 1007: a message is no JSON object"), line


@pytest.mark.alone
def test_a_bot_that_is_far_ahead_and_dies_is_missed_all_the_same(with_bot, announcement):
    """What it sent is not read to its end first."""
    with Bot("flood") as bot:
        gateway = with_bot(bot.url, f", buffer: 5s, announcement: '{announcement}'", seats=1)

        async def call():
            async with in_call(gateway.signaling()) as caller:
                await caller.hears(200)
                bot.signal(signal.SIGKILL)
                begun = time.monotonic()
                while not (loudness(caller.heard()[-speech.RATE // 2 :], 1200) > ANNOUNCED).any():
                    assert time.monotonic() - begun < 3, "no announcement"
                    await asyncio.sleep(0.02)
                assert (await end_of(caller))["reason"] == "pipeline_failed"

        asyncio.run(call())
        gateway.await_idle()
        assert gateway.look()["leases"] == 0


@pytest.mark.alone
@pytest.mark.parametrize("there", ["nobody", "stopped"])
def test_a_bot_that_cannot_be_reached_ends_the_call_in_3_s(with_bot, announcement, there):
    with Bot("echo") as bot:
        if there == "stopped":
            bot.signal(signal.SIGSTOP)
        url = bot.url if there == "stopped" else f"ws://127.0.0.1:{free_port()}/"
        gateway = with_bot(url, f", announcement: '{announcement}'")

        async def call():
            async with in_call(gateway.signaling()) as caller:
                while not (loudness(caller.heard()[-speech.RATE // 2 :], 1200) > ANNOUNCED).any():
                    assert time.monotonic() - caller.offered_at < 3.5, "no announcement"
                    await asyncio.sleep(0.02)
                assert (await end_of(caller))["reason"] == "pipeline_failed"

        asyncio.run(call())
        gateway.await_idle()


@pytest.mark.alone
def test_a_bot_that_never_reads_is_lost(with_bot):
    with Bot("deaf") as bot:
        gateway = with_bot(bot.url)

        async def call():
            async with in_call(gateway.signaling()) as caller:
                assert (await end_of(caller, 4))["reason"] == "pipeline_failed"

        asyncio.run(call())
        gateway.await_idle()


@pytest.mark.alone
def test_a_bot_that_floods_is_held_back_and_heard_in_real_time(with_bot):
    with Bot("flood") as bot:
        gateway = with_bot(bot.url, ", buffer: 5s")

        async def call():
            async with in_call(gateway.signaling()) as caller:
                await caller.hears(25)
                before, resident = len(caller.frames), gateway.resident()
                await asyncio.sleep(8)
                assert abs(len(caller.frames) - before - 400) <= 10, len(caller.frames) - before
                assert gateway.resident() - resident < 20 << 20

        asyncio.run(call())
        gateway.await_idle()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Certificates with their keys by the name they are for."""
    directory = tmp_path_factory.mktemp("certificates")
    made = {}
    for name, subject in ("address", "IP:127.0.0.1"), ("other", "DNS:other.example"):
        file = made[name] = directory / f"{name}.pem"
        options = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}", "-days", "2", "-keyout", file, "-out", f"{file}.crt"]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", *options], check=True, capture_output=True)
        file.write_text(Path(f"{file}.crt").read_text() + file.read_text())
    return made


@pytest.mark.parametrize("name", ["trusted", "a stranger", "another's name"])
def test_a_bot_behind_tls_is_spoken_to_when_it_is_who_it_should_be(with_bot, certificates, name):
    certificate = certificates["other" if name == "another's name" else "address"]
    with Bot("echo", certificate) as bot:
        gateway = with_bot(bot.url, "" if name == "a stranger" else f", trust_roots: '{certificate}'")

        async def call():
            # One that cannot be spoken to may be given up before the media connects.
            async with calling(gateway.signaling()) as caller:
                await caller.offer()
                if name == "trusted":
                    await caller.connected()
                    await caller.hears(50)
                    bot.signal(signal.SIGKILL)
                assert (await end_of(caller))["reason"] == "pipeline_failed"
                assert bool(caller.frames) == (name == "trusted")

        asyncio.run(call())
        gateway.await_idle()
        why = {"a stranger": "the certificate is not trusted: its issuer is", "another's name": "the certificate is for another host"}
        gateway.await_log(why.get(name, "pipeline failed"))


@pytest.mark.alone
def test_a_bot_for_phones_is_told_what_was_played_and_hangs_up_by_rest(with_bot):
    with Bot("twilio") as bot:
        gateway = with_bot(bot.url, ", twilio: {{ account_sid: AC7, auth_token: {{ file: {directory}/jwt.secret }} }}", "twilio")

        async def call():
            async with in_call(gateway.signaling(workflow=2, run=77)) as caller:
                while not (loudness(caller.heard(), 440) > 0.1).any():
                    await asyncio.sleep(0.01)
                begun = time.monotonic()
                lines = [json.loads(await asyncio.to_thread(bot.process.stdout.readline)) for _ in range(5)]
                assert 0.8 < time.monotonic() - begun < 1.3, "the first mark came when its second was played, clear then at once"
                tones = (loudness(caller.heard(), 440) > 0.1).sum()
                assert abs(tones - 50) <= 8, f"heard {tones} frames of the first second"
                connected, start, *marks = lines
                assert connected["event"] == "connected" and start["start"]["customParameters"]["workflow_run_id"] == "77"
                assert [each["mark"]["name"] for each in marks] == ["part 0", "part 1", "part 2"]
                path = f"/2010-04-01/Accounts/AC7/Calls/{start['start']['callSid']}.json"
                credentials = base64.b64encode(f"AC7:{SECRET}".encode()).decode()
                form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {credentials}"}
                # The call outlives the pipeline that it began with.
                config = gateway.config.read_text()
                gateway.config.write_text(config.replace("dialect: twilio", "dialect: twilio, ping_timeout: 3s"))
                assert gateway.ask("POST", "/reload")[0] == 200
                status, _, body = await asyncio.to_thread(http, "POST", gateway.url + path, b"Status=completed", form)
                assert (status, json.loads(body)["status"]) == (200, "completed")
                assert (await end_of(caller))["reason"] == "pipeline_finished"
                status, _, body = await asyncio.to_thread(http, "POST", gateway.url + path, b"Status=completed", form)
                assert (status, json.loads(body)["code"]) == (404, 20404)

        asyncio.run(call())
        gateway.await_idle()
        assert json.loads(bot.process.stdout.readline())["event"] == "stop"


def last_heard(samples: np.ndarray) -> float:
    """How far into the bot's sweep the last sound is, in milliseconds."""
    loud = np.flatnonzero(np.abs(samples) > 0.05)
    stretch = samples[loud[-1] - speech.RATE // 50 : loud[-1]]
    spectrum = np.abs(np.fft.rfft(stretch * np.hanning(len(stretch)), 1 << 17))
    frequency = spectrum.argmax() * speech.RATE / (1 << 17)
    # It is that of the middle of the stretch.
    return (frequency - SWEEP_FROM) / SWEEP_BY * 1000 + 10


@pytest.mark.alone
def test_an_item_that_is_interrupted_is_cut_to_what_was_heard(with_bot, sentences):
    """To within 40 ms of what the caller's end received, which is a browser's."""
    more = ", openai_realtime: {{ session: {{ instructions: 'Greet {{{{name}}}}.' }} }}"
    with Bot("realtime") as bot, chromium(sentences["kitchen"]) as browser:
        gateway = with_bot(bot.url, more, "openai-realtime")
        page = open_caller(browser)
        page.evaluate("url => place(url).then(() => null)", gateway.signaling())
        heard = record(page, 4.5)
        events = page.evaluate("calls[0].messages")
        page.evaluate("hangUp(calls[0])")
        gateway.await_idle()
        update, truncate = (json.loads(bot.process.stdout.readline()) for _ in range(2))
    assert update["session"]["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert truncate["type"] == "conversation.item.truncate" and truncate["item_id"] == "i2"
    told, received = 2000 + truncate["audio_end_ms"], last_heard(heard)
    print(f"told {told} ms, received {received:.0f}")
    assert abs(told - received) <= 40
    texts = [each["payload"]["text"] for each in events if each["type"] == "rtf-bot-text"]
    assert texts == ["I am i1.", "I am i2."]


@pytest.mark.alone
def test_an_interrupted_bot_falls_silent_and_learns_what_was_heard(with_bot):
    with Bot("barge") as bot:
        gateway = with_bot(bot.url)

        async def call():
            async with in_call(gateway.signaling()) as caller:
                await caller.hears(100)
                await caller.send("pipeline-message", please="stop")
                begun = time.monotonic()
                await asyncio.sleep(0.15)
                frames = len(caller.frames)
                await asyncio.sleep(1)
                late = len(caller.frames) - frames
                assert late <= 1, f"{late} frames came later than 150 ms"
                assert [each["type"] for each in caller.events if each["type"].startswith("rtf-bot")] == [
                    "rtf-bot-started-speaking",
                    "rtf-bot-stopped-speaking",
                ]

        asyncio.run(call())
        gateway.await_idle()
        said = [json.loads(bot.process.stdout.readline()) for _ in range(3)]
        assert said[1] == {"event": "message", "data": {"please": "stop"}}
        assert said[2] == {"type": "mark", "data": {"name": "end", "event": "cleared"}}
