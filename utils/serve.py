"""Serve a page that judges recordings and the microphone, and the same as a REST interface."""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import contextlib
import importlib.util
import signal
import socket
from urllib.parse import quote

from utils.common.arguments import Parser, positive, rate
from utils.common.errors import InputError, run

NEEDED = {"fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart",
          "websockets": "websockets"}
OPEN = """  Bound to {host}: all who reach this machine can send recordings and use its processor.
  Nothing is encrypted. Browsers give the microphone only to https and to this machine itself.
  Without --token, nobody has to prove who they are."""
CONNECTIONS = 100
MESSAGE_BYTES = 1 << 20


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=8000, help="port (default: 8000); 0 takes any free one")
    add("--host", default="127.0.0.1",
        help="address to bind to (default: 127.0.0.1, which only this machine can reach); "
             "0.0.0.0 lets others reach it")
    add("--name", nargs="+", default=[], metavar="HOST",
        help="further names by which others may call this server, as behind a proxy")
    add("--token", help="secret that every request for a verdict must carry")
    add("--model", type=Path, help="as for utils/simplified_inference.py")
    add("--fast", action="store_true", help="as for utils/simplified_inference.py")
    add("--threads", type=positive, default=1, metavar="N",
        help="CPU cores that score (default: 1)")
    add("--max_mb", type=rate, default=300, help="megabytes of an upload, at most (default: 300)")
    add("--max_minutes", type=rate, default=120,
        help="minutes of a recording, at most (default: 120)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Serve until Ctrl-C; the exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.fast and args.model:
        parser.error("--fast and --model name two models: leave one of them out")
    if not 0 <= args.port < 65536:
        parser.error("--port must lie between 0 and 65535")
    if args.token is not None and not (args.token.isascii() and args.token.isprintable()
                                       and args.token.strip() == args.token != ""):
        parser.error("--token must be of printable ASCII characters without blanks around")
    if missing := [name for module, name in NEEDED.items() if not importlib.util.find_spec(module)]:
        raise InputError(f"the page needs {', '.join(missing)}: "
                         f"pip install {' '.join(NEEDED.values())}")
    import uvicorn
    from utils.detector import Detector
    from utils.page.app import build_app
    from utils.page.service import Service, Settings
    bound = bind(args.host, args.port)
    detector = Detector.load(args.model, "cpu", args.threads, fast=args.fast)
    service = Service(detector, Settings(args.host, args.token, tuple(args.name),
                                         round(args.max_mb * 1e6), args.max_minutes * 60))
    signal.signal(signal.SIGTERM, signal.default_int_handler)   # ends it like Ctrl-C
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        # the terminal is closed; under nohup this stays ignored
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    config = uvicorn.Config(build_app(service), log_level="error", access_log=False,
                            server_header=False, proxy_headers=False, lifespan="off",
                            limit_concurrency=CONNECTIONS, ws_max_size=MESSAGE_BYTES,
                            ws_ping_interval=None,      # a microphone is never quiet
                            timeout_graceful_shutdown=1)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            greet(args, bound.getsockname()[1])
            uvicorn.Server(config).run(sockets=[bound])
    finally:
        service.close()
        print("served: " + ", ".join(f"{count} {what}" for what, count in service.counts.items())
              if service.counts else "served: nothing")
    return 0


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `InputError`."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"cannot listen on {host}, port {port} ({error.strerror}): "
                         "choose another with --port or --host") from error


def greet(args: argparse.Namespace, port: int) -> None:
    """Say where the page is, and who can reach it."""
    from utils.page.guard import is_loopback
    name = f"[{args.host}]" if ":" in args.host else args.host
    name = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(name, name)
    secret = f"/#token={quote(args.token, safe='')}" if args.token else ""
    print(f"the page is at http://{name}:{port}{secret} (Ctrl-C ends it)")
    print("  Only this machine can reach it." if is_loopback(args.host)
          else OPEN.format(host=args.host), flush=True)


if __name__ == "__main__":
    run(main)
