"""The web application: the page, its REST interface, and the microphone's stream."""
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from utils.page import description
from utils.page.guard import Guard, own_names
from utils.page.microphone import listen
from utils.page.service import Cancelled, Service
from utils.page.upload import Refused, Upload

STATIC = Path(__file__).parent / "static"
ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "picture.js": "text/javascript",
          "table.js": "text/javascript", "microphone.js": "text/javascript",
          "recorder.js": "text/javascript", "icon.svg": "image/svg+xml"}
LINES = "application/x-ndjson"


class Routes:
    """What answers each address."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def page(self) -> Response:
        """The page."""
        return FileResponse(STATIC / "index.html", media_type="text/html")

    async def asset(self, name: str) -> Response:
        """A file of the page."""
        if name not in ASSETS:
            raise HTTPException(404)
        return FileResponse(STATIC / name, media_type=ASSETS[name])

    async def card(self) -> Response:
        """The model card."""
        if not (page := self.service.card()):
            raise HTTPException(404)
        return HTMLResponse(page)

    async def health(self) -> dict:
        """That the server answers, and counts since it began."""
        return self.service.health()

    async def model(self) -> dict:
        """Which model judges, how often it errs, and the limits of this server."""
        return self.service.describe()

    async def verdict(self, request: Request) -> Response:
        """The records of the recordings in the form field `file`, as `--json` prints them."""
        stack = contextlib.ExitStack()
        try:
            stack.enter_context(self.service.place())
            uploads = await self.service.receive(request, stack)
            if LINES in request.headers.get("accept", ""):
                return _Streamed(self._lines(request, uploads), stack.pop_all())
            records = [answer["record"] async for answer in self._answers(request, uploads)
                       if "record" in answer]
            return Response(json.dumps(records, allow_nan=False), media_type="application/json")
        except Cancelled:
            return Response(status_code=499)    # nobody reads it
        finally:
            stack.close()

    async def _lines(self, request: Request, uploads: list[Upload]) -> AsyncIterator[str]:
        with contextlib.suppress(Cancelled):
            async for answer in self._answers(request, uploads):
                yield json.dumps(answer, allow_nan=False) + "\n"

    async def _answers(self, request: Request, uploads: list[Upload]) -> AsyncIterator[dict]:
        for number, upload in enumerate(uploads):
            async for answer in self.service.judge(upload, request.is_disconnected):
                yield {"file": number} | answer

    async def live(self, socket: WebSocket) -> None:
        """The microphone's stream; see `listen`."""
        await listen(socket, self.service)


class _Streamed(StreamingResponse):
    """Lines of JSON as they come; at the end, whatever it is, `stack` is closed."""

    def __init__(self, lines: AsyncIterator[str], stack: contextlib.ExitStack) -> None:
        super().__init__(lines, media_type=LINES)
        self._stack = stack

    async def __call__(self, scope, receive, send) -> None:
        """See ASGI."""
        with self._stack:
            await super().__call__(scope, receive, send)


async def _refused(_request: Request, refusal: Refused) -> Response:
    return JSONResponse({"error": refusal.sentence}, refusal.status, refusal.headers)


async def _no_such(_request: Request, error: HTTPException) -> Response:
    sentence = {404: "there is nothing at this address", 405: "this address does not take that"}
    return JSONResponse({"error": sentence.get(error.status_code, str(error.detail))},
                        error.status_code, error.headers)


def build_app(service: Service) -> Guard:
    """The application for a service, guarded."""
    routes = Routes(service)
    app = FastAPI(title=description.TITLE, description=description.TEXT, version="1",
                  docs_url=None, redoc_url=None)
    add = app.add_api_route
    add("/", routes.page, include_in_schema=False)
    add("/model-card", routes.card, include_in_schema=False)
    add("/healthz", routes.health, responses=description.HEALTH, summary="Is it there?")
    add("/v1/model", routes.model, responses=description.MODEL, summary="The model",
        openapi_extra=description.SECURED)
    add("/v1/verdict", routes.verdict, methods=["POST"], responses=description.VERDICT,
        openapi_extra=description.UPLOAD | description.SECURED, summary="Judge recordings")
    app.add_api_websocket_route("/v1/live", routes.live)
    add("/{name}", routes.asset, include_in_schema=False)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _no_such)
    app.openapi = lambda: description.whole(app)
    settings = service.settings
    return Guard(app, own_names(settings.host, settings.names), settings.token,
                 lambda: service.count("refused"))
