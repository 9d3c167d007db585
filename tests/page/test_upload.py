"""Uploads: what is written, what is refused, and that nothing is left behind."""
import asyncio
import string

import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.page_server import BOUNDARY, form
from utils.page import upload
from utils.page.upload import Refused, receive, shown_name

LIMIT = 1_000_000


def sent(folder, body: bytes, kind: str, piece: int = 1 << 16, length: int | None = None):
    """What `receive` returns for a body that comes in pieces."""
    pieces = [body[at:at + piece] for at in range(0, len(body), piece)] or [b""]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def next_message():
        return messages.pop(0)

    headers = [(b"content-type", kind.encode("latin-1"))]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    request = Request({"type": "http", "method": "POST", "headers": headers}, next_message)
    return asyncio.run(receive(request, folder, LIMIT))


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_files_are_written_whole_however_they_are_cut(tmp_path, piece):
    contents = [bytes(range(256)) * 9, b"", b"\r\n--x\r\n"]
    kind, body = form(*((f"{n}.wav", content) for n, content in enumerate(contents)))
    found = sent(tmp_path, body, kind, piece)
    assert [file.path.read_bytes() for file in found] == contents
    assert [file.name for file in found] == ["0.wav", "1.wav", "2.wav"]


def test_other_fields_are_left_out(tmp_path):
    kind, body = form(("a.wav", b"sound"))
    field = b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    assert [file.path.read_bytes() for file in sent(tmp_path, field + body, kind)] == [b"sound"]
    assert len(list(tmp_path.iterdir())) == 1


def a_form(name: str = "a.wav", content: bytes = b"sound") -> tuple[str, bytes]:
    return form((name, content))


@pytest.mark.parametrize("status, kind, body", [
    (415, "audio/wav", b"RIFF"), (415, "multipart/form-data", b""), (415, "", b""),
    (415, "multipart/form-data; boundary=" + "b" * 71, b""),
    (400, "multipart/form-data; boundary=b", b"no form at all"),
    (400, "multipart/form-data; boundary=b", b"--b\r\nno header"),
    (400, "multipart/form-data; boundary=another", a_form()[1]),
    (400, "multipart/form-data; boundary=b", b"--b\r\nX: " + b"x" * 10000 + b"\r\n\r\n\r\n--b--"),
    (413, *form(*(("a.wav", b"x") for _ in range(upload.MOST_FILES + 1)))),
    (413, *a_form(content=bytes(LIMIT)))])
def test_what_is_no_form_or_too_large_is_refused_in_a_sentence(tmp_path, status, kind, body):
    with pytest.raises(Refused) as refusal:
        sent(tmp_path, body, kind)
    assert refusal.value.status == status
    assert "\n" not in refusal.value.sentence and str(tmp_path) not in refusal.value.sentence
    assert list(tmp_path.iterdir()) == []


def test_a_form_that_is_cut_short_is_refused_and_deleted(tmp_path):
    kind, body = a_form(content=bytes(5000))
    for end in range(1, len(body) - 2, 97):
        with pytest.raises(Refused):
            sent(tmp_path, body[:end], kind)
    assert list(tmp_path.iterdir()) == []


def test_an_upload_that_says_it_is_too_large_is_refused_before_it_comes(tmp_path):
    kind, body = a_form()
    with pytest.raises(Refused, match="at most 1 MB"):
        sent(tmp_path, body, kind, length=LIMIT + 1)


def test_an_upload_that_stops_coming_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(upload, "PIECE_SECONDS", 0.05)
    kind, body = a_form()
    messages = [{"type": "http.request", "body": body[:-9], "more_body": True}]

    async def next_message():
        if not messages:
            await asyncio.sleep(30)
        return messages.pop(0)

    request = Request({"type": "http", "method": "POST", "headers": [
        (b"content-type", kind.encode())]}, next_message)
    with pytest.raises(Refused) as refusal:
        asyncio.run(receive(request, tmp_path, LIMIT))
    assert refusal.value.status == 408 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name, shown", [
    ("a.wav", "a.wav"), ("../../etc/passwd", "passwd"), ("C:\\Users\\me\\a.wav", "a.wav"),
    ("", "recording"), ("/", "recording"), ("..", ".."),
    ("ä\x00\x1b[31m\n.wav", "ä\\x00\\x1b[31m\\n.wav"),
    ("\u202egnp.exe", "\\u202egnp.exe"), ("x" * 999, "x" * upload.LONGEST_NAME),
    ("<img src=x>", "<img src=x>")])
def test_a_name_is_one_printable_line_without_folders(name, shown):
    assert shown_name(name.encode()) == shown


def test_a_name_that_is_no_text_is_shown_all_the_same():
    assert shown_name(b"\xff\xfe.wav") == "\ufffd\ufffd.wav"


PIECES = st.lists(st.one_of(
    st.binary(max_size=40), st.sampled_from([
        b"--b\r\n", b"--b--\r\n", b"\r\n", b"\r\n\r\n", b"--b",
        b'Content-Disposition: form-data; ', b'name="file"; ', b'filename="a.wav"',
        b"filename*=UTF-8''%FF", b":", b"\0", b"--", b"b" * 300,
        b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'])), max_size=30)


@settings(max_examples=150, deadline=None)
@given(PIECES, st.integers(1, 50), st.text(string.printable, max_size=20))
def test_no_body_does_more_than_be_refused(tmp_path_factory, pieces, size, more):
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    kind = "multipart/form-data; boundary=b" + more.encode("ascii", "ignore").decode()
    for found in _tried(folder, b"".join(pieces), kind, size):
        found.path.unlink()
    assert list(folder.iterdir()) == []


def _tried(folder, body, kind, size):
    try:
        return sent(folder, body, kind, size)
    except Refused as refusal:
        assert 400 <= refusal.status < 500
        return []
