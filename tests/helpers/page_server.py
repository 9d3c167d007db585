"""A running server of the page, as a process of its own."""
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from utils.common.files import ROOT

PRETRAINED = ROOT / "models" / "pretrained" / "detector.onnx"
BOUNDARY = b"between-the-parts-of-a-form"


class PageServer:
    """`python utils/serve.py` on a free port. Use it in a with statement."""

    def __init__(self, *options: str, model: Path | None = PRETRAINED) -> None:
        command = [sys.executable, ROOT / "utils" / "serve.py", "--port", "0",
                   *(["--model", model] if model else [])]
        self.process = subprocess.Popen([*map(str, command), *options], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> "PageServer":
        self.greeting = self.process.stdout.readline() + self.process.stdout.readline()
        found = re.search(r"http://\S+?:(\d+)", self.greeting)
        assert found, self.process.communicate(timeout=20)
        self.port = int(found[1])
        self.address = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
        self.out, self.err = self.process.communicate(timeout=20)

    def ask(self, path: str, data: bytes | None = None,
            **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer; `_` in names of headers stands for `-`."""
        request = urllib.request.Request(self.address + path, data, {
            name.replace("_", "-"): value for name, value in headers.items()})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, dict(answer.headers.items()), answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, dict(answer.headers.items()), answer.read()

    def judge(self, *files: tuple[str, bytes], **headers: str) -> tuple[int, list | dict]:
        """Status and JSON of a verdict on files, each a name and its bytes."""
        kind, body = form(*files)
        status, _, answer = self.ask("/v1/verdict", body, Content_Type=kind, **headers)
        return status, json.loads(answer)


def form(*files: tuple[str, bytes]) -> tuple[str, bytes]:
    """Content type and body of a multipart form with recordings."""
    parts = [b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="file"; '
             b'filename="' + name.encode() + b'"\r\n\r\n' + content + b"\r\n"
             for name, content in files]
    return (f"multipart/form-data; boundary={BOUNDARY.decode()}",
            b"".join(parts) + b"--" + BOUNDARY + b"--\r\n")
