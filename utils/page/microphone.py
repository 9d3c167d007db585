"""The microphone's stream over a WebSocket.

The client sends {"rate": Hz, "token": ...} first, then int16 samples (mono, little endian) as
binary messages, and "end". It gets {"update": ...} about once a second, and at the end what a file
gets: record, words, sketch. Or {"error": sentence}.
"""
import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable

import numpy as np
from fastapi import WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from utils.inference import words
from utils.page.decoder import drawn
from utils.page.guard import NO_TOKEN, same
from utils.page.live import Backlog, LiveRecording
from utils.page.service import Service
from utils.page.upload import Refused

RATES = range(8000, 192001)     # Hz
LONGEST = 1800.0                # seconds of a recording: then it ends by itself
SPARE = 60.0                    # seconds that it may last longer on the clock
MOST_BYTES = 1 << 20            # of a message
QUIET_SECONDS = 20.0            # to wait for the next message
SEND_SECONDS = 60.0             # for the other side to take what it is sent
BACKLOG = 20.0                  # seconds of sound that wait to be scored
BEHIND = 0.5                    # seconds that wait where updates are left out
SELDOM = 2.0                    # s until there is one all the same: it shows who has left
PAUSE = 0.05                    # s until the next look at the backlog
SHOWN = ("verdict", "score", "seconds", "speech_seconds", "reasons")    # in an update


async def listen(socket: WebSocket, service: Service) -> None:
    """Judge what a microphone sends, while it is sent."""
    await socket.accept()
    try:
        try:
            rate = await _greeting(socket, service.settings.token)
            with service.microphone() as free:
                if not free:
                    raise Refused(503, "too many microphones are open: try again in a moment")
                await _judge(socket, service, rate)
        except Refused as refusal:
            service.count("refused")
            await _tell(socket, {"error": refusal.sentence})
        if socket.application_state is WebSocketState.CONNECTED:
            await socket.close()
    except (WebSocketDisconnect, asyncio.CancelledError):   # it has left, or the server ends
        service.count("cancelled")


async def _tell(socket: WebSocket, message: dict) -> None:
    if socket.application_state is not WebSocketState.CONNECTED:
        raise WebSocketDisconnect
    await _soon(socket.send_json(message))


async def _soon(sent: Awaitable[None]) -> None:
    """Wait until it is sent. Raises `WebSocketDisconnect` if the other side does not read."""
    try:
        await asyncio.wait_for(sent, SEND_SECONDS)
    except asyncio.TimeoutError:
        raise WebSocketDisconnect from None


async def _greeting(socket: WebSocket, token: str | None) -> int:
    """The sampling rate that the first message names."""
    try:
        hello = json.loads(await _message(socket))
        rate, given = hello["rate"], str(hello.get("token"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Refused(400, 'the first message must be {"rate": HZ}') from error
    if token is not None and not same(given, token):
        raise Refused(401, NO_TOKEN)
    if not isinstance(rate, int) or rate not in RATES:
        raise Refused(400, f"the sampling rate must lie between {RATES.start:,} and "
                           f"{RATES.stop - 1:,} Hz")
    return rate


async def _message(socket: WebSocket) -> str | bytes:
    """The next message. Raises `Refused` if none comes, or it is too long."""
    try:
        got = await asyncio.wait_for(socket.receive(), QUIET_SECONDS)
    except asyncio.TimeoutError:
        raise Refused(408, "nothing came from the microphone: start it again") from None
    if got["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(got.get("code", 1005))
    content = got.get("bytes") if got.get("bytes") is not None else got.get("text", "")
    if len(content) > MOST_BYTES:
        raise Refused(413, "a message is too long")
    return content


async def _judge(socket: WebSocket, service: Service, rate: int) -> None:
    loop = asyncio.get_running_loop()
    outbox: asyncio.Queue = asyncio.Queue()
    backlog = Backlog(rate)
    shown = time.monotonic()

    def is_behind() -> bool:
        return backlog.abandoned or (backlog.seconds > BEHIND
                                     and time.monotonic() - shown < SELDOM)

    def show(record: dict) -> None:
        nonlocal shown
        shown = time.monotonic()
        update = {name: record[name] for name in SHOWN} | {"sentence": words.sentence(record)}
        loop.call_soon_threadsafe(outbox.put_nowait, {"update": update})

    live = LiveRecording(service.live, rate, show, is_behind)
    sender = asyncio.create_task(_send(socket, outbox))
    judged = asyncio.create_task(asyncio.to_thread(live.judge, backlog))
    try:
        async for block in _spoken(socket, rate):
            backlog.put(block)
            while backlog.seconds > BACKLOG and not judged.done() and not sender.done():
                await asyncio.sleep(PAUSE)
            if judged.done() or sender.done():      # it failed, or nobody reads
                break
        backlog.end()
        if not sender.done():
            answer = service.answer(await judged, drawn(live.sketch))
            outbox.put_nowait(answer | {"says": []})    # a microphone says nothing of itself
            outbox.put_nowait(None)
        await _soon(sender)
    finally:
        backlog.abandon()
        sender.cancel()
        await asyncio.gather(judged, sender, return_exceptions=True)


async def _send(socket: WebSocket, outbox: asyncio.Queue) -> None:
    """Send what comes into `outbox`, until None does."""
    while (message := await outbox.get()) is not None:
        await _tell(socket, message)


async def _spoken(socket: WebSocket, rate: int) -> AsyncIterator[np.ndarray]:
    """The int16 blocks (n,) that the client sends, until it ends or LONGEST is reached."""
    left = round(LONGEST * rate)
    end = time.monotonic() + LONGEST + SPARE
    while left > 0 and time.monotonic() < end:
        content = await _message(socket)
        if content == "end":
            return
        if isinstance(content, str) or len(content) % 2:
            raise Refused(400, "a message must hold int16 samples, or the word end")
        block = np.frombuffer(content, "<i2")[:left]
        left -= len(block)
        yield block
