"""A real browser, driven over its DevTools protocol."""
import base64
import json
import shutil
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

CHROMIUM = (shutil.which("chromium") or shutil.which("chromium-browser")
            or shutil.which("google-chrome"))
NO_BROWSER = "NO BROWSER: install chromium to run this test"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-sync", "--disable-background-networking", "--disable-component-update",
         "--hide-scrollbars"]
TALKING = ["--remote-debugging-port=0", "--autoplay-policy=no-user-gesture-required",
           "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
           "--disable-dev-shm-usage", "--mute-audio"]
START_SECONDS = 30


class Browser:
    """One page of a headless Chromium. Use it in a with statement.

    `microphone`: a WAV file that its microphone plays once.
    """

    def __init__(self, folder: Path, microphone: Path | None = None) -> None:
        more = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else []
        self.folder = folder
        self.log = open(folder / "browser.log", "wb")
        self.process = subprocess.Popen(
            [CHROMIUM, *FLAGS, *TALKING, *more, f"--user-data-dir={folder / 'profile'}",
             "about:blank"], stdout=self.log, stderr=self.log)
        self.number = 0
        self.said: list[str] = []       # what pages wrote into the console, and errors

    def __enter__(self) -> "Browser":
        from websockets.sync.client import connect
        told = self.folder / "profile" / "DevToolsActivePort"
        wait_until(lambda: told.is_file() and told.read_text().count("\n"), START_SECONDS)
        port = told.read_text().split("\n")[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            page = next(t for t in json.load(answer) if t["type"] == "page")
        self.open_things = ExitStack()
        self.socket = self.open_things.enter_context(
            connect(page["webSocketDebuggerUrl"], max_size=None))
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.do(f"{domain}.enable")
        return self

    def __exit__(self, *_) -> None:
        self.open_things.close()
        self.process.terminate()
        self.process.wait(20)
        self.log.close()

    def do(self, method: str, **parameters) -> dict:
        """The result of a command of the protocol."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(60))
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message: dict) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            self.said.append(str(message["params"]["exceptionDetails"]))
        if message.get("method") == "Log.entryAdded":
            self.said.append(message["params"]["entry"]["text"])

    def open(self, address: str, width: int = 1000, height: int = 1400, *, dark: bool = False,
             mobile: bool = False) -> None:
        """Load a page in a window of this size."""
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height,
                deviceScaleFactor=1, mobile=mobile)
        self.do("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.do("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def js(self, expression: str):
        """The value of a JavaScript expression; a promise is awaited."""
        result = self.do("Runtime.evaluate", expression=expression, returnByValue=True,
                         awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression: str, seconds: float = 30) -> None:
        """Return when a JavaScript expression is true."""
        wait_until(lambda: self.js(f"!!({expression})"), seconds, expression)

    def click(self, selector: str) -> None:
        """Press the element that `selector` names."""
        self.js(f"document.querySelector({selector!r}).click()")

    def key(self, name: str, code: int) -> None:
        """Press a key by its DOM name and its code."""
        text = {"text": "\r"} if name == "Enter" else {}
        self.do("Input.dispatchKeyEvent", type="keyDown", key=name, code=name,
                windowsVirtualKeyCode=code, **text)
        self.do("Input.dispatchKeyEvent", type="keyUp", key=name, code=name,
                windowsVirtualKeyCode=code)

    def choose(self, selector: str, files: list[Path]) -> None:
        """Choose files in a file input, as in its dialog."""
        root = self.do("DOM.getDocument")["root"]["nodeId"]
        node = self.do("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.do("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def text(self, selector: str) -> str:
        """The text of an element as it is shown."""
        return self.js(f"document.querySelector({selector!r})?.innerText ?? ''")

    def shot(self, file: Path, whole: bool = False) -> None:
        """A picture of the window, or of the whole page."""
        data = self.do("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        file.write_bytes(base64.b64decode(data))


def wait_until(true, seconds: float, what: str = "") -> None:
    """Return when `true()` is."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s: {what}"
        time.sleep(0.05)
