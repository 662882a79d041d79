"""A Pipecat bot, unchanged, behind the gateway: as a phone bot, and by Pipecat's own protocol."""

import asyncio
import os
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

import speech
from browser import chromium, open_caller, record
from gateway import ROOT, SECRET, changed_config
from peer import in_call

PYTHON = ROOT / ".venv-pipecat/bin/python"
DIALECTS = {
    "twilio": ("/twilio", ", twilio: {{ account_sid: AC7, auth_token: {{ file: {directory}/jwt.secret }} }}"),
    "pipecat": ("/ws-client", ""),
}


@pytest.fixture(params=DIALECTS)
def gateway(request, start):
    """A gateway with the bot behind workflow 2."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path, more = DIALECTS[request.param]
    bot = f"echo: {{{{ type: websocket, dialect: {request.param}, url: 'ws://127.0.0.1:{port}{path}'{more} }}}}"
    gateway = start(template=changed_config(("echo: {{ type: echo }}", bot)))
    environment = {**os.environ, "TWILIO_API": gateway.url, "BOT_AUTH_TOKEN": SECRET}
    log = gateway.config.with_name("bot.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PYTHON, Path(__file__).with_name("pipecat_bot.py"), str(port)], env=environment, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-4000:]
                time.sleep(0.1)
        yield gateway
    finally:
        process.kill()
        process.wait()
        print(log.read_text()[-3000:])


def words(name: str, sentences) -> np.ndarray:
    return speech.spoken_part(speech.read(sentences[name]))


def assert_answer(heard: np.ndarray, sentences):
    """The bot's answer was heard, and not the caller's own words."""
    answer, echo = (speech.likeness(words(name, sentences), heard)[0] for name in ("harbour", "kitchen"))
    print(f"likeness: the answer {answer:.2f}, the caller's own words {echo:.2f}")
    assert answer >= speech.SAME and echo <= speech.OTHER


def test_it_greets_is_interrupted_answers_and_hangs_up(gateway, sentences):
    said = words("kitchen", sentences)
    pause = np.zeros(7 * speech.RATE)

    async def call():
        # The greeting takes 5 s. The caller speaks into it after 3, hears the answer, and again; then the bot hangs up.
        turns = [pause[: 3 * speech.RATE], said, pause, said, pause, said, pause]
        async with in_call(gateway.signaling(), np.concatenate(turns)) as caller:
            ended = await caller.message("call-ended", timeout=60)
            return ended, caller

    ended, caller = asyncio.run(call())
    heard = caller.heard()
    greeting, _ = speech.likeness(words("winter", sentences)[: int(1.5 * speech.RATE)], heard[: 6 * speech.RATE])
    print(f"likeness: the greeting's beginning {greeting:.2f}")
    assert greeting >= speech.SAME
    assert_answer(heard, sentences)

    # The voice stops where it was interrupted: the caller spoke up, and nothing of the 5 s of the greeting came later.
    started, stopped = (
        next(each["at"] for each in caller.events if each["type"] == f"rtf-bot-{what}-speaking") for what in ("started", "stopped")
    )
    late = [at - stopped for at in caller.arrivals if stopped + 0.15 < at < stopped + 1]
    print(f"spoke for {stopped - started:.2f} s until it was interrupted; frames later than 150 ms: {late}")
    assert stopped - started < 4.5 and not late
    assert ended["reason"] == "pipeline_finished"
    gateway.await_idle()


def test_a_browser_hears_its_answer(gateway, sentences):
    """The microphone speaks from 1 s on, for 5: into the greeting. After that pause comes the answer."""
    with chromium(sentences["kitchen"]) as browser:
        page = open_caller(browser)
        page.evaluate("url => place(url).then(() => null)", gateway.signaling())
        heard = record(page, 13)
        page.evaluate("hangUp(calls[0])")
    assert_answer(heard, sentences)
    gateway.await_idle()
