"""A Pipecat bot, unchanged, behind the gateway: as a phone bot, and by Pipecat's own protocol."""

import asyncio
import json
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from aiohttp import ClientSession, WSMsgType, web

import speech
from browser import chromium, open_caller, record
from gateway import ROOT, SECRET, changed_config, free_port
from peer import in_call

pytestmark = pytest.mark.alone
PYTHON = ROOT / ".venv-pipecat/bin/python"
DIALECTS = {
    "twilio": ("/twilio", ", twilio: {{ account_sid: AC7, auth_token: {{ file: {directory}/jwt.secret }} }}"),
    "pipecat": ("/ws-client", ""),
}


class Tap:
    """Between the gateway and the bot, to see when the bot interrupts itself, and what it is answered when it asks for the
    call's end. A bot that has asked for that is not heard closing its socket, so that only the request can end the call."""

    def __init__(self, bot: str):
        self.bot, self.gateway = bot, None
        self.interruptions = []  # in seconds of the epoch
        self.answers = []  # the gateway's, to requests like Twilio's
        self.was_left, self.is_over = False, threading.Event()  # by the gateway, after such a request
        self.loop, began = asyncio.new_event_loop(), threading.Event()
        threading.Thread(target=self._run, args=[began], daemon=True).start()
        assert began.wait(5)

    def _run(self, began):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._listen())
        began.set()
        self.loop.run_forever()

    async def _listen(self):
        app = web.Application()
        app.router.add_get("/{path:.*}", self._relay)
        app.router.add_post("/{path:.*}", self._ask)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]

    async def _relay(self, request):
        gateway = web.WebSocketResponse()
        await gateway.prepare(request)
        async with ClientSession() as session, session.ws_connect(self.bot + request.path) as bot:
            ways = [asyncio.ensure_future(self._pass_on(*way)) for way in ((gateway, bot, False), (bot, gateway, True))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            # It may be gone before its answer has come through here.
            if self.answers:
                await asyncio.wait(ways[:1], timeout=5)
            self.was_left = ways[0].done()
            await bot.close(code=gateway.close_code or 1000)
            await gateway.close(code=bot.close_code or 1000)
        self.is_over.set()
        return gateway

    async def _ask(self, request):
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type")}
        async with (
            ClientSession() as session,
            session.post(self.gateway + request.path, data=await request.read(), headers=headers) as response,
        ):
            self.answers.append((request.path, response.status))
            return web.Response(status=response.status, body=await response.read(), content_type=response.content_type)

    async def _pass_on(self, source, target, from_bot):
        async for message in source:
            if message.type == WSMsgType.TEXT:
                if from_bot and json.loads(message.data).get("event") == "clear":
                    self.interruptions.append(time.time())
                await target.send_str(message.data)
            elif message.type == WSMsgType.BINARY:
                # Of a Frame's one field the number comes first: 5 is InterruptionFrame.
                if from_bot and message.data[:1] == b"\x2a":
                    self.interruptions.append(time.time())
                await target.send_bytes(message.data)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)


@pytest.fixture(params=["twilio", pytest.param("pipecat", marks=pytest.mark.rare)])
def bot(request):
    """The bot, listening; where it is, which dialect it is spoken to in, and how."""
    path, more = DIALECTS[request.param]
    yield SimpleNamespace(dialect=request.param, port=free_port(), path=path, more=more)


@pytest.fixture
def gateway(bot, start):
    """A gateway with the bot behind workflow 2, and what taps the line between them."""
    tap = Tap(f"ws://127.0.0.1:{bot.port}")
    entry = f"echo: {{{{ type: websocket, dialect: {bot.dialect}, url: 'ws://127.0.0.1:{tap.port}{bot.path}'{bot.more} }}}}"
    gateway = start(template=changed_config(("echo: {{ type: echo }}", entry)))
    gateway.tap, tap.gateway = tap, gateway.url
    environment = {**os.environ, "TWILIO_API": f"http://127.0.0.1:{tap.port}", "BOT_AUTH_TOKEN": SECRET}
    log = gateway.config.with_name("bot.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PYTHON, Path(__file__).with_name("pipecat_bot.py"), str(bot.port)], env=environment, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", bot.port), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-4000:]
                time.sleep(0.1)
        yield gateway
    finally:
        process.kill()
        process.wait()
        tap.stop()
        print(log.read_text()[-3000:])


def words(name: str, sentences) -> np.ndarray:
    return speech.spoken_part(speech.read(sentences[name]))


def assert_answer(heard: np.ndarray, sentences):
    """The bot's answer was heard, and not the caller's own words."""
    answer, echo = (speech.likeness(words(name, sentences), heard)[0] for name in ("harbour", "kitchen"))
    print(f"likeness: the answer {answer:.2f}, the caller's own words {echo:.2f}")
    assert answer >= speech.SAME and echo <= speech.OTHER


def test_it_greets_is_interrupted_answers_and_hangs_up(bot, gateway, sentences):
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

    # By Twilio's protocol it asks for the end (`auto_hang_up`), and that is what ended the call.
    if bot.dialect == "twilio":
        [(path, status)] = gateway.tap.answers
        assert status == 200 and re.fullmatch(r"/2010-04-01/Accounts/AC7/Calls/CA[0-9a-f]{32}\.json", path), path
        assert gateway.tap.is_over.wait(20) and gateway.tap.was_left
    else:
        assert gateway.tap.answers == []


@pytest.mark.rare
def test_a_browser_interrupts_it_and_hears_its_answer(gateway, sentences):
    """The microphone speaks from 1 s on, for 5: into the greeting. After that pause comes the answer."""
    with chromium(sentences["kitchen"]) as browser:
        page = open_caller(browser)
        page.evaluate("url => place(url).then(() => listen(calls[0]))", gateway.signaling())
        heard = record(page, 13)
        levels = page.evaluate("calls[0].levels")
        page.evaluate("hangUp(calls[0])")
    assert_answer(heard, sentences)
    gateway.await_idle()

    # Of the greeting, which is louder than anything else then, nothing is heard later than 150 ms after the interruption.
    begun = gateway.tap.interruptions[0] * 1000
    late = [at - begun for at, level in levels if level > 0.02 and begun - 1000 < at < begun + 1000]
    print(f"its voice stopped {max(late):.0f} ms after the interruption")
    assert -400 < max(late) <= 150
