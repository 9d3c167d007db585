"""The server as others meet it: REST, limits, who is let in, and what it never says."""
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.conftest import ROOT
from tests.helpers.audio.example_speech import EXAMPLES
from tests.helpers.page_server import PRETRAINED, PageServer, form
from utils.detector import Detector
from utils.inference.words import PLAIN

CLIP = EXAMPLES / "fake_kokoro_en.flac"
TOKEN = "a secret+b%20&c#!"
SECRETS = re.compile(rb"Traceback|/tmp|site-packages|utils/|\.py\b")


@pytest.fixture(scope="module")
def server():
    with PageServer() as running:
        yield running


@pytest.fixture(scope="module")
def locked():
    with PageServer("--token", TOKEN, "--max_mb", "0.5", "--max_minutes", "0.05") as running:
        yield running


@pytest.fixture(scope="module")
def record():
    """What the command line says of CLIP."""
    return Detector.load(PRETRAINED, "cpu", 1).judge(str(CLIP))


def test_a_verdict_is_the_record_of_the_command_line(server, record):
    status, records = server.judge((CLIP.name, CLIP.read_bytes()))
    assert status == 200
    assert records == [record | {"file": CLIP.name}]


def test_with_fast_the_small_model_judges():
    small = Detector.load(threads=1, fast=True).judge(str(CLIP))
    with PageServer("--fast", model=None) as fast:
        assert fast.judge((CLIP.name, CLIP.read_bytes()))[1] == [small | {"file": CLIP.name}]


def test_several_files_get_their_records_in_order_and_a_broken_one_says_why(server, record):
    status, records = server.judge(("no.wav", b"RIFF no sound"), (CLIP.name, CLIP.read_bytes()),
                                   ("empty.wav", b""))
    assert status == 200
    assert [found["file"] for found in records] == ["no.wav", CLIP.name, "empty.wav"]
    assert [found["verdict"] for found in records] == ["cannot judge", record["verdict"],
                                                       "cannot judge"]
    assert records[0]["error"].startswith("no.wav ") and "empty (0 bytes)" in records[2]["error"]


def test_a_page_gets_progress_and_then_record_words_and_sketch(server, record, tmp_path):
    long = tmp_path / "long.wav"
    soundfile.write(long, np.tile(soundfile.read(CLIP, dtype="int16")[0], 4), 16000)
    kind, body = form(("long.wav", long.read_bytes()))
    _, headers, answer = server.ask("/v1/verdict", body, Content_Type=kind,
                                    Accept="application/x-ndjson")
    assert headers["content-type"].startswith("application/x-ndjson")
    *progress, last = map(json.loads, answer.splitlines())
    assert progress and all(set(line) == {"file", "progress"} for line in progress)
    assert last["sentence"] == PLAIN[last["record"]["verdict"]]
    assert last["sketch"]["seconds"] == pytest.approx(17.8) and last["row"][0] == "long.wav"
    assert last["says"] == [["nothing of where it comes from, which proves nothing", ""]]
    assert set(last["facts"]) == {"score", "threshold", "model", "recording"}


def test_the_model_and_the_limits_are_told(server, record):
    told = json.loads(server.ask("/v1/model")[2])
    assert told["threshold"] == record["threshold"] and told["band"] == record["band"]
    assert told["model_sha256"] == record["model_sha256"] and told["card"]
    assert "EER" in told["errors"] and "% of spoof utterances" in told["errors"]
    assert told["most_bytes"] == 3e8
    assert b"<h2>How far to trust it</h2>" in server.ask("/model-card")[2]


def test_the_health_counts_and_names_no_recording(server):
    before = json.loads(server.ask("/healthz")[2])
    server.judge(("my secret name.flac", CLIP.read_bytes()))
    answer = server.ask("/healthz")[2]
    after = json.loads(answer)
    assert after["status"] == "ok" and after["judged"] == before["judged"] + 1
    assert b"secret" not in answer


def test_the_interface_is_described(server):
    described = json.loads(server.ask("/openapi.json")[2])
    upload = described["paths"]["/v1/verdict"]["post"]
    assert {"200", "400", "401", "408", "413", "415", "503", "507"} <= set(upload["responses"])
    form_data = upload["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form_data["required"] == ["file"]
    assert {"/healthz", "/v1/model", "/v1/verdict"} == set(described["paths"])


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/v1/model", "/nothing",
                                  "/model-card"])
def test_every_answer_forbids_what_the_page_does_not_need(server, path):
    headers = server.ask(path)[1]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff" and "server" not in headers
    assert headers["x-frame-options"] == "DENY" and headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


def test_the_page_asks_nothing_of_others(server):
    for path in ["/", "/page.css", "/page.js", "/picture.js", "/table.js", "/microphone.js",
                 "/recorder.js", "/icon.svg", "/model-card"]:
        status, _, text = server.ask(path)
        text = text.replace(b"http://www.w3.org/", b"")
        assert status == 200 and not re.search(rb"https?://|@import|url\(|src=\"//", text), path


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/app.py",
                                  "/static/../app.py", "/..%5c..%5cserve.py", "/%00"])
def test_no_other_file_is_served(server, path):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.putrequest("GET", path, skip_host=False)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 404 and set(json.loads(answer.read())) == {"error"}


@pytest.mark.parametrize("headers, status", [
    ({"Host": "evil.example"}, 421), ({"Host": "127.0.0.1.evil.example:8000"}, 421),
    ({"Host": ""}, 421), ({"Host": "192.168.1.5"}, 421), ({"Host": "a@127.0.0.1:b"}, 421),
    ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
    ({"Origin": "http://["}, 403), ({"Origin": "http://127.0.0.1:1"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403), ({"Host": "localhost"}, 200)])
def test_foreign_hosts_and_origins_are_refused(server, headers, status):
    assert server.ask("/v1/model", **headers)[0] == status
    kind, body = form((CLIP.name, b"x"))
    answer = server.ask("/v1/verdict", body, Content_Type=kind, **headers)
    assert answer[0] == status


def test_the_pages_own_origin_is_let_in(server):
    assert server.ask("/v1/model", Origin=server.address, Sec_Fetch_Site="same-origin")[0] == 200


def test_a_link_of_another_site_leads_to_the_page_and_to_nothing_else(server):
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    for path, more, status in (
            ("/", {"Sec_Fetch_Dest": "document"}, 200),
            ("/model-card", {"Sec_Fetch_Dest": "document"}, 200),
            ("/", {"Sec_Fetch_Dest": "iframe"}, 403), ("/", {}, 403),
            ("/", {"Sec_Fetch_Dest": "document", "Sec_Fetch_Mode": "no-cors"}, 403),
            ("/", {"Sec_Fetch_Dest": "document", "Origin": "http://evil.example"}, 403),
            ("/v1/model", {"Sec_Fetch_Dest": "document"}, 403)):
        assert server.ask(path, **(link | more))[0] == status, (path, more)
    assert server.ask("/", b"", **link, Sec_Fetch_Dest="document")[0] == 403     # a form


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_a_foreign_page_cannot_open_the_microphones_stream(server, origin):
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"ws://127.0.0.1:{server.port}/v1/live", origin=origin)
    assert refusal.value.response.status_code == 403


def left_by(server) -> Path:
    """The folder of a server's uploads."""
    return next(Path(tempfile.gettempdir()).glob(f"audio-page-{server.process.pid}-*"))


@pytest.mark.parametrize("name", ["../../../etc/passwd", "..\\..\\x.flac", "/tmp/x.flac",
                                  "<script>alert(1)</script>.flac", "\u202egnp.flac", "a\tb.flac",
                                  "%2e%2e%2fx.flac", "x" * 3000, "-rf *.flac", "'; drop.flac"])
def test_a_hostile_name_is_a_name_and_nothing_else(server, name):
    status, records = server.judge((name, CLIP.read_bytes()[:3000]))
    assert status == 200 and records[0]["file"].isprintable()
    assert "/" not in records[0]["file"].replace("</script>", "") or "script" in name
    assert len(records[0]["file"]) <= 200
    assert list(left_by(server).iterdir()) == []


def test_refusals_hold_no_paths_and_no_tracebacks(server):
    kind, body = form(("a.flac", b"fLaC" + bytes(100)))
    for path, data, headers in (("/v1/verdict", body, {"Content_Type": kind}),
                                ("/v1/verdict", b"x", {"Content_Type": "text/plain"}),
                                ("/v1/verdict", None, {}), ("/nothing", None, {}),
                                ("/v1/verdict", body[:-20], {"Content_Type": kind})):
        status, _, answer = server.ask(path, data, **headers)
        assert status < 500 and not SECRETS.search(answer), answer
        assert status == 200 or set(json.loads(answer)) == {"error"}


def test_a_token_opens_the_interface_and_nothing_else_does(locked):
    clip = CLIP.name, CLIP.read_bytes()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN},
                    {"Authorization": "Basic " + TOKEN}, {"Authorization": "Bearer "},
                    {"Authorization": "Bearer \u00e4"}):
        status, answer = locked.judge(clip, **headers)
        assert status == 401 and set(answer) == {"error"}
        assert locked.ask("/v1/model", **headers)[0] == 401
    assert locked.ask("/v1/model", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert locked.ask("/")[0] == locked.ask("/healthz")[0] == 200
    fragment = re.search(r"#(\S+)", locked.greeting)[1]
    assert parse_qs(fragment) == {"token": [TOKEN]}


@pytest.mark.parametrize("hello", ['{"rate": 16000}', '{"rate": 16000, "token": "wrong"}',
                                   '{"rate": 16000, "token": null}',
                                   '{"rate": 16000, "token": "\\ud800"}'])
def test_the_stream_needs_the_token_too(locked, hello):
    with connect(f"ws://127.0.0.1:{locked.port}/v1/live") as stream:
        stream.send(hello)
        assert "token" in json.loads(stream.recv(10))["error"]


def test_what_is_too_large_or_too_long_is_refused(locked):
    key = {"Authorization": f"Bearer {TOKEN}"}
    status, answer = locked.judge(("a.wav", bytes(600_000)), **key)
    assert status == 413 and "at most 0.5 MB" in answer["error"]
    status, records = locked.judge((CLIP.name, CLIP.read_bytes()), **key)    # 4.5 s
    assert status == 200 and "lasts more than 0.05 minutes" in records[0]["error"]
    stereo = io.BytesIO()
    wave = soundfile.read(CLIP, dtype="int16")[0]
    soundfile.write(stereo, np.stack([wave, wave[::-1]], axis=1), 16000, format="FLAC")
    status, records = locked.judge(("stereo.flac", stereo.getvalue()), **key)
    assert status == 200 and "lasts more than 0.05 minutes" in records[0]["error"]


def test_a_full_line_is_told_with_a_time_to_come_back(server):
    """Uploads that never end hold every place."""
    kind, body = form((CLIP.name, CLIP.read_bytes()))
    head = (f"POST /v1/verdict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: {kind}"
            f"\r\nContent-Length: {len(body)}\r\n\r\n").encode()
    held = []
    for _ in range(10):
        held.append(socket.create_connection(("127.0.0.1", server.port)))
        held[-1].sendall(head + body[:1000])
    end = time.monotonic() + 20
    while json.loads(server.ask("/healthz")[2])["in_line"] < 10:
        assert time.monotonic() < end
        time.sleep(0.05)
    status, headers, answer = server.ask("/v1/verdict", body, Content_Type=kind)
    assert status == 503 and int(headers["retry-after"]) > 0 and "error" in json.loads(answer)
    for connection in held:
        connection.close()
    while json.loads(server.ask("/healthz")[2])["in_line"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert server.judge((CLIP.name, CLIP.read_bytes()))[0] == 200


def test_a_sender_who_leaves_is_not_waited_for(server, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.tile(soundfile.read(CLIP, dtype="int16")[0], 40),
                    16000)
    kind, body = form(("long.wav", (tmp_path / "long.wav").read_bytes()))
    before = json.loads(server.ask("/healthz")[2])["cancelled"]
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/v1/verdict", body, {"Content-Type": kind})
    end = time.monotonic() + 60
    while not json.loads(server.ask("/healthz")[2])["in_line"]:
        assert time.monotonic() < end
    connection.close()
    while json.loads(server.ask("/healthz")[2])["cancelled"] == before:
        assert time.monotonic() < end
        time.sleep(0.05)
    while list(left_by(server).iterdir()):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("path, headers, status", [
    ("/v1/verdict", {}, 413), ("/v1/verdict", {"Authorization": ""}, 401),
    ("/v1/verdict", {"Origin": "null"}, 403), ("/page", {}, 405)])
def test_a_refusal_is_read_by_who_is_still_sending(locked, path, headers, status):
    """A connection that is reset in between would lose it."""
    kind, body = form(("a.wav", bytes(20_000_000)))
    key = {"Authorization": f"Bearer {TOKEN}", "Content_Type": kind}
    for _ in range(3):
        assert locked.ask(path, body, **(key | headers))[0] == status


def test_two_at_once_are_both_answered(server, record):
    found = []
    threads = [threading.Thread(target=lambda: found.append(
        server.judge((CLIP.name, CLIP.read_bytes()))[1][0]["score"])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [record["score"]] * 2


def test_nothing_is_left_and_only_counts_are_said():
    kind, body = form(("secret.flac", CLIP.read_bytes()))
    with PageServer() as short:
        left = left_by(short)
        short.judge(("secret.flac", CLIP.read_bytes()), ("other.wav", b"x"))
        assert short.ask("/", Origin="http://[")[0] == 403
        half_sent = http.client.HTTPConnection("127.0.0.1", short.port)
        half_sent.putrequest("POST", "/v1/verdict")
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body)))):
            half_sent.putheader(name, value)
        half_sent.endheaders(body[:-1000])
        end = time.monotonic() + 20
        while not list(left.iterdir()):
            assert time.monotonic() < end
        half_sent.close()
        while not json.loads(short.ask("/healthz")[2])["cancelled"]:
            assert time.monotonic() < end
        assert list(left.iterdir()) == []
    assert short.process.returncode == 0
    assert short.out == "served: 1 judged, 1 failed, 1 refused, 1 cancelled\n" and short.err == ""
    assert not left.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot tell which servers still run")
def test_uploads_of_a_killed_server_are_swept_by_the_next_and_one_that_is_ended_leaves_none():
    with PageServer() as killed:
        folder = left_by(killed)
        (folder / "upload").write_bytes(b"sound")
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait()
        for end in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(end) == signal.SIG_IGN:     # as under nohup, and so in the server
                continue
            with PageServer() as ended:
                assert not folder.exists()
                folder = left_by(ended)
                (folder / "upload").write_bytes(b"sound")
                ended.process.send_signal(end)
                assert ended.process.wait(20) == 0
    assert not folder.exists()


def serve(*arguments, python=()):
    return subprocess.run([sys.executable, *python, str(ROOT / "utils" / "serve.py"), *arguments],
                          capture_output=True, text=True, timeout=60)


def test_without_its_packages_it_says_what_to_install():
    done = serve(python=["-S"])     # no package at all
    assert done.returncode == 1 and "pip install fastapi uvicorn" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_told_in_a_sentence(server):
    done = serve("--port", str(server.port))
    assert done.returncode == 1 and f"cannot listen on 127.0.0.1, port {server.port}" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--port", "65536"], ["--token", ""], ["--token", "ä"],
                                       ["--max_mb", "0"], ["--fast", "--model", "a.onnx"]])
def test_wrong_usage_is_told(arguments):
    assert serve(*arguments).returncode == 2


def test_a_server_for_others_says_what_that_means_and_answers_to_addresses():
    with PageServer("--host", "0.0.0.0", "--name", "voices.example") as open_one:
        assert "Without --token, nobody has to prove who they are" in (
            open_one.greeting + "".join(open_one.process.stdout.readline() for _ in range(2)))
        for host, status in (("192.168.1.5:80", 200), ("[::1]", 200), ("voices.example", 200),
                             (socket.gethostname(), 200), ("evil.example", 421)):
            assert open_one.ask("/v1/model", Host=host)[0] == status, host


@pytest.mark.parametrize("message", ["no json", "[]", "3", '{"rate": "x"}', '{"rate": 1}',
                                     '{"rate": 1e9}', '{"rate": 16000.5}', '{"rate": true}',
                                     b"\0\1", "[" * 5000])
def test_a_stream_that_begins_wrongly_is_refused_in_a_sentence(server, message):
    with connect(f"ws://127.0.0.1:{server.port}/v1/live") as stream:
        stream.send(message)
        told = json.loads(stream.recv(10))
        assert set(told) == {"error"} and "\n" not in told["error"]
        with pytest.raises(ConnectionClosed):
            stream.recv(10)


@pytest.mark.parametrize("message", [b"\0", "hello"])
def test_a_stream_that_goes_on_wrongly_is_refused_in_a_sentence(server, message):
    with connect(f"ws://127.0.0.1:{server.port}/v1/live") as stream:
        stream.send('{"rate": 16000}')
        stream.send(message)
        assert "int16" in json.loads(stream.recv(10))["error"]


def test_a_third_microphone_is_told_to_wait(server):
    address = f"ws://127.0.0.1:{server.port}/v1/live"
    with connect(address) as first, connect(address) as second:
        for stream in (first, second):
            stream.send('{"rate": 16000}')
        end = time.monotonic() + 10
        while json.loads(server.ask("/healthz")[2])["microphones"] < 2:
            assert time.monotonic() < end
        with connect(address) as third:
            third.send('{"rate": 16000}')
            assert "too many microphones" in json.loads(third.recv(10))["error"]


def test_a_microphone_that_leaves_gives_its_place_back_at_once(server):
    """What it has sent before, a minute in each message, is scored for nobody."""
    sound = np.tile(soundfile.read(CLIP, dtype="int16")[0], 20)[:8000 * 60].tobytes()
    _until_no_microphone_is_open(server, 60)
    cancelled = json.loads(server.ask("/healthz")[2])["cancelled"]
    with connect(f"ws://127.0.0.1:{server.port}/v1/live", close_timeout=1) as stream:
        stream.send('{"rate": 8000}')
        for _ in range(3):
            stream.send(sound)
        stream.recv(20)
    _until_no_microphone_is_open(server, 20)
    assert json.loads(server.ask("/healthz")[2])["cancelled"] == cancelled + 1


def _until_no_microphone_is_open(server, seconds):
    end = time.monotonic() + seconds
    while json.loads(server.ask("/healthz")[2])["microphones"]:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_ctrl_c_ends_a_server_whose_microphone_is_open():
    sound = np.tile(soundfile.read(CLIP, dtype="int16")[0], 20)[:8000 * 60].tobytes()
    with PageServer() as short, connect(f"ws://127.0.0.1:{short.port}/v1/live") as stream:
        stream.send('{"rate": 8000}')
        stream.send(sound)
        stream.recv(20)
        short.process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
        assert short.process.wait(10) == 0
    assert "Traceback" not in short.err
