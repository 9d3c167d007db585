"""Who may ask, and with which headers every answer goes out.

A page of another site must not reach this server through the browser of somebody who runs it. So
the Host must be ours (DNS rebinding), and an Origin must be the one that our own page has.
"""
import asyncio
import contextlib
import hmac
import ipaddress
import json
import re
import socket
import time
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAIN_SECONDS = 10.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
        "img-src 'self' blob: data:; media-src blob:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store"}
PAGES = frozenset({"/", "/model-card"})
HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d+)?")
FOREIGN_HOST = "this server does not go by that name: use the address that it printed"
FOREIGN_ORIGIN = "requests from the pages of other sites are refused"
NO_TOKEN = "a token is needed: send the header 'Authorization: Bearer TOKEN'"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_names(host: str, more: Collection[str]) -> Callable[[str], bool]:
    """What tells whether a name is ours.

    Bound to the loopback address, the server goes by its names alone. Else it goes by the
    machine's names, `more`, and any address: an attacker's name can lead to us, an address cannot.
    """
    names = LOOPBACK | {name.lower() for name in (host, *more)}
    if is_loopback(host):
        return lambda name: name in names
    names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    return lambda name: name in names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def has_token(authorization: str, token: str | None) -> bool:
    """Whether a header `Authorization` holds the token, if one is needed."""
    kind, _, given = authorization.partition(" ")
    return token is None or (kind.lower() == "bearer" and same(given.strip(), token))


def same(given: str, token: str) -> bool:
    """Whether two secrets are the same; takes equally long for all wrong ones."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())


class _Body:
    """The body of a request. One that is refused early is read to its end first.

    Else the connection is reset while the sender still sends, and it never reads the answer.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def receive(self) -> Message:
        """The next message."""
        message = await self._receive()
        self._ended |= not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read what is left and drop it, for DRAIN_SECONDS at most."""
        end = time.monotonic() + DRAIN_SECONDS
        with contextlib.suppress(asyncio.TimeoutError):
            while not self._ended and time.monotonic() < end:
                await asyncio.wait_for(self.receive(), DRAIN_SECONDS)


class Guard:
    """ASGI middleware that refuses foreign requests and adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp, is_ours: Callable[[str], bool], token: str | None,
                 refused: Callable[[], None]) -> None:
        """`token`: needed below /v1/. `refused` is called for each request that is refused."""
        self.app = app
        self.is_ours = is_ours
        self.token = token
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        body = _Body(receive)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                await body.drain()
                message["headers"] = [*message.get("headers", ()), *(
                    (name.encode(), value.encode()) for name, value in HEADERS.items())]
            await send(message)

        status, reason = self._objection(scope)
        if status is None:
            await self.app(scope, body.receive, guarded)
            return
        self.refused()
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            await _answer(guarded, status, reason)

    def _objection(self, scope: Scope) -> tuple[int | None, str]:
        """The status and the sentence for a request that is refused; None for others."""
        headers = {name.decode("latin-1"): value.decode("latin-1")
                   for name, value in scope["headers"]}
        host = headers.get("host", "")
        if not self.is_ours(_name(host)):
            return 421, FOREIGN_HOST
        origin = headers.get("origin")
        if origin is not None and not _leads_to(origin, host):
            return 403, FOREIGN_ORIGIN
        if (headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
                and not _follows_a_link(scope, headers)):
            return 403, FOREIGN_ORIGIN
        # a browser cannot send the header with a WebSocket: there the first message holds it
        if scope["type"] == "http" and scope["path"].startswith("/v1/") and not has_token(
                headers.get("authorization", ""), self.token):
            return 401, NO_TOKEN
        return None, ""


def _name(host: str) -> str:
    """The name in a Host header, without the port; empty if the header is malformed."""
    found = HOST.fullmatch(host.lower())
    return found[1].strip("[]") if found else ""


def _leads_to(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:      # a malformed address
        return False


def _follows_a_link(scope: Scope, headers: dict[str, str]) -> bool:
    """Whether a person follows a link of another site to a page: that site reads nothing of it."""
    return (scope.get("method") == "GET" and scope["path"] in PAGES
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document")


async def _answer(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"),
               (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
