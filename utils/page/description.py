"""What the OpenAPI description says beyond the routes themselves."""
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

TITLE = "Verdicts on speech recordings"
TEXT = ("Likely bona fide (real speech), likely spoof (synthetic speech), uncertain, or cannot "
        "judge. Recordings are deleted as soon as they are judged. A refusal is "
        '{"error": "one sentence"}.')
ERROR = {"application/json": {"schema": {
    "type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}}}
SECURED = {"security": [{}, {"bearer": []}]}
UPLOAD = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
    "type": "object", "required": ["file"], "properties": {"file": {
        "type": "array", "items": {"type": "string", "format": "binary"},
        "description": "one or several recordings, of any kind that the command line reads"}}}}}}}
RECORD = {"type": "object", "description": "as --json of utils/simplified_inference.py prints it",
          "properties": {
              "file": {"type": "string"},
              "verdict": {"type": "string", "enum": ["likely bona fide", "uncertain",
                                                     "likely spoof", "cannot judge"]},
              "score": {"type": "number", "nullable": True,
                        "description": "log-likelihood ratio; higher means bona fide"},
              "threshold": {"type": "number", "nullable": True},
              "band": {"type": "array", "nullable": True, "items": {"type": "number"},
                       "description": "between both ends, the verdict is uncertain"},
              "error": {"type": "string", "nullable": True,
                        "description": "why the file cannot be read"},
              "notes": {"type": "array", "items": {"type": "string"}},
              "reasons": {"type": "array", "items": {"type": "string"}},
              "warnings": {"type": "array", "items": {"type": "string"}},
              "model_warnings": {"type": "array", "items": {"type": "string"}},
              "stretches": {"type": "array", "items": {"type": "object"},
                            "description": "the timeline"}}}


def _refusal(text: str) -> dict:
    return {"description": text, "content": ERROR}


UNKNOWN = {401: _refusal("a token is needed")}
VERDICT = {
    200: {"description": "one record per recording, in order. With the header Accept: "
                         "application/x-ndjson, lines: progress, then each record with its words",
          "content": {"application/json": {"schema": {"type": "array", "items": RECORD}}}},
    400: _refusal("no recording, or a broken form"), **UNKNOWN,
    408: _refusal("the upload came too slowly"), 413: _refusal("too large"),
    415: _refusal("not multipart/form-data"),
    503: _refusal("too many recordings wait; the header Retry-After says when to come back"),
    507: _refusal("the disk of the server is full")}
MODEL = {200: {"description": "the model and the limits of this server"}, **UNKNOWN}
HEALTH = {200: {"description": "counts since the server began"}}


def whole(app: FastAPI) -> dict:
    """The description of an application, with the token that --token asks for."""
    if not app.openapi_schema:
        made = get_openapi(title=TITLE, version=app.version, description=TEXT, routes=app.routes)
        made.setdefault("components", {})["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"}}
        app.openapi_schema = made
    return app.openapi_schema
