"""An echo on pipecat's SmallWebRTC transport (aiortc), everything as it comes, for `patchbay call`."""

import asyncio
import contextlib
import logging
import sys

from aiohttp import WSMsgType, web
from aiortc.sdp import candidate_from_sdp
from loguru import logger
from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner


class Echo(FrameProcessor):
    """Input audio becomes output audio; everything else goes on."""

    async def process_frame(self, frame: Frame, direction: FrameDirection):
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            frame = OutputAudioRawFrame(
                audio=frame.audio, sample_rate=frame.sample_rate, num_channels=frame.num_channels
            )
        await self.push_frame(frame, direction)


async def converse(connection: SmallWebRTCConnection):
    transport = SmallWebRTCTransport(
        webrtc_connection=connection, params=TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    )
    worker = PipelineWorker(
        Pipeline([transport.input(), Echo(), transport.output()]), params=PipelineParams(), idle_timeout_secs=None
    )

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def signaling(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    connection = conversation = None
    early = []
    async for message in socket:
        if message.type != WSMsgType.TEXT:
            continue
        content = message.json()
        payload = content["payload"]
        if content["type"] == "offer" and connection is None:
            connection = SmallWebRTCConnection()
            await connection.initialize(payload["sdp"], payload["type"])
            conversation = asyncio.create_task(converse(connection))
            answer = connection.get_answer() | {"pc_id": payload["pc_id"]}
            await socket.send_json({"type": "answer", "payload": answer})
            await socket.send_json({"type": "ice-candidate", "payload": {"pc_id": payload["pc_id"], "candidate": None}})
            for candidate in early:
                await connection.add_ice_candidate(candidate)
        elif content["type"] == "ice-candidate" and payload["candidate"]:
            text = payload["candidate"]["candidate"]
            candidate = candidate_from_sdp(text.removeprefix("candidate:"))
            candidate.sdpMid = payload["candidate"]["sdpMid"]
            candidate.sdpMLineIndex = payload["candidate"]["sdpMLineIndex"]
            if connection is None:
                early.append(candidate)
            else:
                await connection.add_ice_candidate(candidate)
    if connection:
        await connection.disconnect()
        conversation.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await conversation
    return socket


async def main():
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    logging.basicConfig(level=logging.WARNING)
    application = web.Application()
    application.router.add_get("/{path:.*}", signaling)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    print(f"listening on {host}:{port}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
