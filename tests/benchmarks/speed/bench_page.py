"""What the page's server bears and costs: a load of uploads, one in ten broken, and a live voice.

    python tests/benchmarks/speed/bench_page.py [--requests 200] [--at_once 8] [--minutes 10]

The server is a process of its own, with the pretrained model on one core. Linux only.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import contextlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from websockets.sync.client import ClientConnection, connect

from tests.benchmarks.results_files import Rows, add_output_options, publish
from tests.helpers.audio.audio_zoo import REFUSED, example, kinds
from tests.helpers.audio.example_speech import crops, example_files
from tests.helpers.page_server import PageServer
from utils.common.arguments import positive
from utils.common.errors import run
from utils.signals import SAMPLE_RATE

BROKEN_EVERY = 10
EARLY = 5                   # memory is looked at first after one request in so many
QUIET_SECONDS = 1.0         # before the voice begins
LIVE_SECONDS = 60
PIECE = SAMPLE_RATE // 10   # samples of a message
TICKS = os.sysconf("SC_CLK_TCK")


def processes(server: PageServer) -> list[int]:
    """The server and its children."""
    task = Path(f"/proc/{server.process.pid}/task")
    children = " ".join((thread / "children").read_text() for thread in task.iterdir())
    return [server.process.pid, *map(int, children.split())]


def megabytes(server: PageServer) -> float:
    """Resident memory that the server and its children do not share with others."""
    total = 0
    for process in processes(server):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return total / 1024


def cpu_seconds(process: int) -> float:
    """CPU time of a process, its threads included."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(server: PageServer, requests: int, at_once: int) -> Rows:
    """Uploads side by side; every one must be answered, and what is broken told."""
    clips = [path.read_bytes() for key in ("bonafide", "spoof") for path in example_files(key)]
    broken = [kind for kind in kinds() if kind.outcome == REFUSED and kind.place is None]
    wave = example()
    sizes = []

    def ask(number: int) -> str:
        if number == requests // EARLY:
            sizes.append(megabytes(server))
        if number % BROKEN_EVERY == BROKEN_EVERY - 1:
            content = broken[number // BROKEN_EVERY % len(broken)].content(wave)
            status, answer = server.judge((f"{number}.wav", content))
            return "refused" if status == 200 and answer[0]["error"] else f"wrong: {answer}"
        status, answer = server.judge((f"{number}.flac", clips[number % len(clips)]))
        return "judged" if status == 200 and not answer[0]["error"] else f"wrong: {answer}"

    begin = time.monotonic()
    used = sum(map(cpu_seconds, processes(server)))
    with ThreadPoolExecutor(at_once) as pool:
        outcomes = list(pool.map(ask, range(requests)))
    used = sum(map(cpu_seconds, processes(server))) - used
    sizes.append(megabytes(server))
    wrong = [outcome for outcome in outcomes if outcome.startswith("wrong")]
    print(*wrong, sep="\n", file=sys.stderr)
    return [row(f"requests, {at_once} at a time: recordings judged", outcomes.count("judged")),
            row("broken recordings, with their reason", outcomes.count("refused")),
            row("wrong or without an answer", len(wrong)),
            row("seconds for all", time.monotonic() - begin, 0),
            row("CPU seconds a request", used / requests, 2),
            row(f"memory after {requests // EARLY} requests, MB", sizes[0], 0),
            row(f"memory after {requests} requests, MB", sizes[1], 0)]


def spoken(seconds: float) -> Iterator[np.ndarray]:
    """Silence, then speech, in the pieces that a microphone sends."""
    voice = np.concatenate(crops("spoof", 6) + crops("bonafide", 6))
    quiet = np.zeros(round(QUIET_SECONDS * SAMPLE_RATE), np.int16)
    samples = np.concatenate([quiet, np.resize(voice, round(seconds * SAMPLE_RATE))])
    for at in range(0, len(samples), PIECE):
        yield samples[at:at + PIECE]


@contextlib.contextmanager
def opened(server: PageServer) -> Iterator[ClientConnection]:
    """A stream that has begun."""
    with connect(f"ws://127.0.0.1:{server.port}/v1/live", max_size=None,
                 ping_interval=None) as stream:
        stream.send(json.dumps({"rate": SAMPLE_RATE}))
        yield stream


def live(server: PageServer) -> Rows:
    """A voice at the speed of speech: when answers come, and what they cost."""
    times, first = [], None
    used = cpu_seconds(server.process.pid)
    with opened(server) as stream:
        begin = time.monotonic()
        for number, piece in enumerate(spoken(LIVE_SECONDS)):
            stream.send(piece.tobytes())
            while (left := begin + number * PIECE / SAMPLE_RATE - time.monotonic()) > 0:
                try:
                    update = json.loads(stream.recv(left))["update"]
                except TimeoutError:
                    break
                times.append(time.monotonic() - begin)
                if first is None and update["score"] is not None:
                    first = times[-1] - QUIET_SECONDS - 1
        lasted = time.monotonic() - begin
        used = cpu_seconds(server.process.pid) - used
        stream.send("end")
        while "update" in (last := json.loads(stream.recv(60))):
            pass
    return [row("live: first answer, seconds after the first second of speech", first, 2),
            row("live: longest time between two updates, s", max(np.diff(times)), 2),
            row("live: share of one core, %", 100 * used / lasted, 0),
            row("live: stretches in the last verdict", len(last["record"]["stretches"]))]


def long_stream(server: PageServer, minutes: int) -> Rows:
    """A stream as fast as the server takes it: its memory."""
    sizes = []
    with opened(server) as stream:
        for number, piece in enumerate(spoken(60 * minutes)):
            stream.send(piece.tobytes())
            if number % 600 == 599:
                sizes.append(megabytes(server))
        stream.send("end")
        while "update" in json.loads(stream.recv(600)):
            pass
    return [row("live: memory after a minute, MB", sizes[0], 0),
            row(f"live: memory after {minutes} minutes, MB", sizes[-1], 0)]


def row(what: str, value: float, digits: int = 0) -> dict[str, str]:
    """A row of the table."""
    return {"what": what, "measured": f"{value:.{digits}f}"}


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=positive, default=200, help="(default: 200)")
    parser.add_argument("--at_once", type=positive, default=8, help="(default: 8)")
    parser.add_argument("--minutes", type=positive, default=10,
                        help="of the long stream (default: 10)")
    add_output_options(parser)
    args = parser.parse_args(argv)
    rows = []
    with PageServer() as server:
        for measure in (lambda: live(server), lambda: load(server, args.requests, args.at_once),
                        lambda: long_stream(server, args.minutes)):
            rows += measure()
            print(rows[-1], flush=True)
    publish("page", rows, args)
    return 0


if __name__ == "__main__":
    run(main)
