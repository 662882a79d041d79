"""A Pipecat bot as its makers would write it, without a cloud: `python pipecat_bot.py PORT`.

espeak-ng speaks, an energy detector listens. It greets, answers each time the caller pauses, and is interrupted when the caller
speaks up. `/twilio` is its address for Twilio Media Streams, `/ws-client` that of Pipecat's own protocol. Of Patchbay it knows
nothing but where Twilio's REST API is.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator

import numpy as np
import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams
from pipecat.frames.frames import EndWorkerFrame, Frame, TTSAudioRawFrame, TTSSpeakFrame, UserStoppedSpeakingFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.tts_service import TTSService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_processor import UserTurnProcessor
from pipecat.turns.user_turn_strategies import UserTurnStrategies

GREETING = "Eleven wool blankets were folded, numbered, and carried up to the cold attic room."
ANSWER = "The old harbour master counts seven small boats before the evening tide comes in."


class EnergyVAD(VADAnalyzer):
    """Loud is speech."""

    def num_frames_required(self) -> int:
        return self.sample_rate // 50

    def voice_confidence(self, buffer) -> float:
        samples = np.frombuffer(buffer, "<i2").astype(float)
        return float(np.sqrt(np.mean(samples**2)) > 300)


class Espeak(TTSService):
    """espeak-ng, at its own 22050 Hz; the transport resamples."""

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        process = await asyncio.create_subprocess_exec(
            "espeak-ng", "-v", "en-gb", "-s", "150", "--stdout", text, stdout=asyncio.subprocess.PIPE
        )
        wave, _ = await process.communicate()
        for at in range(44, len(wave), 22050):
            yield TTSAudioRawFrame(wave[at : at + 22050], 22050, 1, context_id=context_id)


class Answer(FrameProcessor):
    """Says its sentence when the caller has paused; the third time it hangs up instead."""

    turns = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection):
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, UserStoppedSpeakingFrame) and direction == FrameDirection.DOWNSTREAM:
            self.turns += 1
            if self.turns < 3:
                await self.push_frame(TTSSpeakFrame(ANSWER))
            else:
                await self.push_frame(EndWorkerFrame(), FrameDirection.UPSTREAM)


async def serve(websocket: WebSocket, serializer, hears: int, speaks: int):
    transport = FastAPIWebsocketTransport(
        websocket, FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer)
    )
    turns = UserTurnStrategies(
        start=[VADUserTurnStartStrategy()], stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.3)]
    )
    task = PipelineTask(
        Pipeline(
            [
                transport.input(),
                VADProcessor(vad_analyzer=EnergyVAD(params=VADParams(start_secs=0.2, stop_secs=0.4, min_volume=0))),
                UserTurnProcessor(user_turn_strategies=turns, user_turn_stop_timeout=0.6),
                Answer(),
                Espeak(sample_rate=22050),
                transport.output(),
            ]
        ),
        params=PipelineParams(audio_in_sample_rate=hears, audio_out_sample_rate=speaks),
    )

    @transport.event_handler("on_client_connected")
    async def greet(transport, client):
        await task.queue_frame(TTSSpeakFrame(GREETING))

    @transport.event_handler("on_client_disconnected")
    async def leave(transport, client):
        await task.cancel()

    await PipelineRunner(handle_sigint=False).run(task)


app = FastAPI()


@app.websocket("/ws-client")
async def ws_client(websocket: WebSocket):
    await websocket.accept()
    await serve(websocket, ProtobufFrameSerializer(), 16_000, 24_000)


@app.websocket("/twilio")
async def twilio(websocket: WebSocket):
    await websocket.accept()
    _, call = await parse_telephony_websocket(websocket)
    print("call", call, flush=True)
    serializer = TwilioFrameSerializer(
        stream_sid=call["stream_id"],
        call_sid=call["call_id"],
        account_sid="AC7",
        auth_token=os.environ.get("BOT_AUTH_TOKEN", "none"),
        base_url=os.environ.get("TWILIO_API"),
    )
    await serve(websocket, serializer, 8000, 8000)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
