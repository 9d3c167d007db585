"""The page in a real browser: what a person sees, presses, hears and says."""
import csv
import io
import json
import socket

import numpy as np
import pytest
import soundfile

from tests.helpers.browser import CHROMIUM, NO_BROWSER, Browser, wait_until
from tests.helpers.audio.example_speech import EXAMPLES
from tests.helpers.page_server import PRETRAINED, PageServer, form
from utils.detector import Detector
from utils.inference.words import PLAIN

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_BROWSER)
FAKE, REAL = EXAMPLES / "fake_kokoro_en.flac", EXAMPLES / "real_librispeech_2412_en.flac"
VERDICT = "!document.querySelector('#result').hidden"
PHONE = 390
SAVED = """new Promise((resolve) => {
  const [make, click] = [URL.createObjectURL, HTMLAnchorElement.prototype.click];
  let blob;
  URL.createObjectURL = (made) => make.call(URL, blob = made);
  HTMLAnchorElement.prototype.click = async function () {
    HTMLAnchorElement.prototype.click = click;
    URL.createObjectURL = make;
    resolve({ name: this.download, type: blob.type, text: await blob.text() });
  };
  document.querySelector('%s').click();
})"""


@pytest.fixture(scope="module")
def server():
    with PageServer() as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    speech = soundfile.read(FAKE, dtype="int16")[0]
    soundfile.write(folder / "microphone.wav", np.concatenate([np.zeros(8000, np.int16), speech]),
                    16000)
    with Browser(folder, folder / "microphone.wav") as running:
        yield running
        assert running.said == []       # no error, nothing blocked by the policy


@pytest.fixture
def page(browser, server):
    browser.open(server.address)
    browser.wait("document.querySelector('#limits').textContent")
    return browser


@pytest.fixture(scope="module")
def judged():
    """What the command line says of both clips."""
    detector = Detector.load(PRETRAINED, "cpu", 1)
    return {file.name: detector.judge(str(file)) for file in (FAKE, REAL)}


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Six minutes of speech."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    soundfile.write(path, np.tile(soundfile.read(FAKE, dtype="int16")[0], 80), 16000)
    return path


def health(server, count):
    return json.loads(server.ask("/healthz")[2])[count]


def choose(page, *files):
    page.choose("#files", files)


def inside(page):
    """Whether nothing is wider than the window."""
    return page.js("document.documentElement.scrollWidth <= innerWidth")


def test_a_recording_gets_a_verdict_with_all_that_belongs_to_it(page, judged):
    choose(page, FAKE)
    page.wait(VERDICT)
    shown = page.text("#result")
    record = judged[FAKE.name]
    low, high = record["band"]
    assert PLAIN[record["verdict"]] in shown and f"Score {record['score']:.2f}" in shown
    assert f"threshold {record['threshold']:.2f} (the line)" in shown
    assert f"uncertain from {low:.2f} to {high:.2f}" in shown
    assert page.js("document.querySelector('#result .outcome').textContent") == record["verdict"]
    assert "What the file says of itself" in shown and "which proves nothing" in shown
    assert page.js("document.activeElement.id") == "result"
    assert FAKE.name in page.js("document.querySelector('#news').textContent")
    drawn = page.js("[...document.querySelectorAll('.stage canvas')].map((canvas) => new Set("
                    "canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)"
                    ".size)")
    assert len(drawn) == 3 and min(drawn) > 3       # colours: none is blank
    assert inside(page)


def test_it_plays_and_a_click_jumps(page):
    choose(page, FAKE)
    page.wait(VERDICT)
    page.click(".play")
    page.wait("Number(document.querySelector('.player input').value) > 0.3")
    assert page.text(".play") == "Pause"
    page.click(".play")
    box = page.js("(({x, y, width}) => [x, y, width])("
                  "document.querySelector('.stage').getBoundingClientRect())")
    for kind in ("mousePressed", "mouseReleased"):
        page.do("Input.dispatchMouseEvent", type=kind, x=box[0] + box[2] / 2, y=box[1] + 20,
                button="left", clickCount=1)
    assert page.js("Number(document.querySelector('.player input').value)") == pytest.approx(
        4.45 / 2, abs=0.1)
    assert page.js("parseFloat(document.querySelector('.cursor').style.left)") == pytest.approx(
        50, abs=2)


def test_a_broken_file_says_why(page, tmp_path):
    broken = tmp_path / "<b>broken.wav"
    broken.write_bytes(b"RIFF and no more")
    choose(page, broken)
    page.wait(VERDICT)
    shown = page.text("#result")
    assert "This recording cannot be read." in shown and "<b>broken.wav is not audio" in shown
    assert not page.js("document.querySelector('#result b b')")


def test_two_at_once_make_a_table_that_sorts_and_can_be_saved(page, judged):
    choose(page, FAKE, REAL)
    page.wait("document.querySelectorAll('tbody tr').length === 2")

    def column(number):
        return page.js(f"[...document.querySelectorAll('tbody td:nth-child({number})')]"
                       ".map((cell) => cell.textContent)")

    assert column(1) == [FAKE.name, REAL.name]
    assert column(2) == [judged[FAKE.name]["verdict"], judged[REAL.name]["verdict"]]
    page.click("th:nth-child(3) button")
    up = [float(score) for score in column(3)]
    page.click("th:nth-child(3) button")
    assert up == sorted(up) and column(3) == [f"{score:.2f}" for score in reversed(up)]
    assert page.js("document.querySelector('th:nth-child(3)').ariaSort") == "descending"
    assert page.js("document.querySelectorAll('tr[aria-current=true]').length") == 1
    saved = page.js(SAVED % "#save-csv")
    rows = {row["file"]: row for row in csv.DictReader(io.StringIO(saved["text"]))}
    records = json.loads(page.js(SAVED % "#save-all")["text"])
    for record in records:
        name = record["file"]
        assert record == judged[name] | {"file": name}
        assert float(rows[name]["score"]) == record["score"]
    one = json.loads(page.js(SAVED % "#save-json")["text"])
    assert one == next(record for record in records if record["file"] == one["file"])
    picture = page.js(SAVED % "#save-picture")
    assert picture["type"] == "image/png" and picture["name"].endswith(".flac.png")


def test_a_long_one_shows_progress_and_can_be_cancelled(page, long, server):
    before = health(server, "cancelled")
    choose(page, long)
    page.wait("document.querySelector('#work .state')?.textContent.startsWith('heard')", 60)
    assert "of 5:56" in page.text("#work .state")
    assert 0 < page.js("document.querySelector('#work progress').value") < 1
    page.click("#work button")
    page.wait("!document.querySelector('#work li')")
    wait_until(lambda: health(server, "cancelled") > before, 20)
    assert page.js("document.querySelector('#result').hidden")
    choose(page, FAKE)
    page.wait(VERDICT)


def test_one_that_waited_for_a_full_line_can_be_cancelled_too(page, long, server):
    before = health(server, "cancelled")
    kind, body = form(("a.wav", bytes(2000)))
    head = (f"POST /v1/verdict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: {kind}"
            f"\r\nContent-Length: {len(body)}\r\n\r\n").encode()
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(10)]
    for connection in held:
        connection.sendall(head + body[:1000])
    wait_until(lambda: health(server, "in_line") == len(held), 20)
    choose(page, long)
    page.wait("document.querySelector('#work .state')?.textContent.includes('is full')", 60)
    for connection in held:
        connection.close()
    page.wait("document.querySelector('#work .state')?.textContent.startsWith('heard')", 60)
    page.click("#work button")
    wait_until(lambda: health(server, "cancelled") > before + len(held), 20)
    assert page.js("document.querySelector('#work li') === null")
    page.said[:] = [line for line in page.said if "503" not in line]


def test_no_cell_of_the_csv_is_a_formula(page):
    made = page.js("import('/table.js').then(({ csv }) => csv(['a'], "
                   "[['=1'], ['x; -2'], ['y;\\t@z'], ['a-b = c'], [-3]]))")
    assert made.splitlines() == ["a", "'=1", "x; '-2", "y;\t'@z", "a-b = c", "-3"]


def test_a_spoken_sentence_is_followed_and_judged(page):
    page.click("#speak")
    page.wait("document.querySelector('#live-scale figure')")
    page.wait("document.querySelector('#live-time').textContent >= '0:05'")
    assert page.text("#live-verdict .outcome").lower() in PLAIN
    page.click("#stop")
    page.wait(VERDICT)
    assert page.js("document.querySelector('#result .outcome').textContent") in PLAIN
    assert page.js("document.querySelector('#live').hidden")
    page.click(".play")
    page.wait("Number(document.querySelector('.player input').value) > 0.2")
    record = json.loads(page.js(SAVED % "#save-json")["text"])
    assert record["file"] == "microphone" and record["seconds"] > 4
    assert record["speech_seconds"] > 1 and record["stretches"]


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_telephone(browser, server, dark):
    browser.open(server.address, PHONE, 844, dark=dark, mobile=True)
    choose(browser, FAKE, REAL)
    browser.wait("document.querySelectorAll('tbody tr').length === 2")
    assert inside(browser)
    small = browser.js("[...document.querySelectorAll('button')].filter((b) => b.offsetParent && "
                       "b.getBoundingClientRect().height < 34).map((b) => b.textContent)")
    assert small == []
    assert browser.js("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 23, 27)" if dark else "rgb(247, 247, 245)")
    browser.open(server.address + "/model-card", PHONE, 844, mobile=True)
    assert inside(browser)


def test_everything_is_reached_by_keyboard_and_named(page):
    choose(page, FAKE)
    page.wait(VERDICT)
    page.js("document.body.focus()")
    seen = []
    for _ in range(12):
        page.key("Tab", 9)
        seen.append(page.js("document.activeElement.id || document.activeElement.className || "
                            "document.activeElement.tagName"))
    for expected in ("play", "save-json", "save-picture"):
        assert expected in seen, seen
    tree = page.do("Accessibility.getFullAXTree")["nodes"]
    roles = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree
             if not node.get("ignored")}
    for role, name in (("heading", "Real or synthetic speech?"), ("button", "Choose recordings"),
                       ("button", "Use the microphone"), ("article", "Verdict"),
                       ("slider", "Position in the recording")):
        assert (role, name) in roles
    nameless = [role for role, name in roles if role in ("button", "slider", "link", "textbox")
                and not name]
    assert nameless == []


def test_contrast_is_enough_to_read(page):
    """WCAG 2.1 AA: 4.5 to 1, for the words in colour too."""
    ratio = """(() => {
      const light = (c) => c.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255).map((v) =>
        v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) =>
        s + v * [.2126, .7152, .0722][i], 0);
      const probe = document.createElement('p');
      document.body.append(probe);
      const of = (name) => { probe.style.color = `var(--${name})`;
        return light(getComputedStyle(probe).color); };
      const pairs = [['ink', 'paper'], ['ink', 'panel'], ['soft', 'paper'], ['soft', 'panel'],
        ['accent', 'panel'], ['real', 'panel'], ['uncertain', 'panel'], ['fake', 'panel'],
        ['none', 'panel'], ['on-accent', 'accent'], ['ink', 'real-tint'], ['ink', 'fake-tint'],
        ['ink', 'uncertain-tint']].map(([a, b]) => [a, b, of(a), of(b)]);
      return pairs.map(([a, b, x, y]) => [a, b, (Math.max(x, y) + .05) / (Math.min(x, y) + .05)]);
    })()"""
    for dark in (False, True):
        page.do("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        assert [found for found in page.js(ratio) if found[2] < 4.5] == []


def test_a_locked_page_asks_for_its_token(browser):
    token = "a secret+b%20&c#!"
    with PageServer("--token", token) as locked:
        browser.open(locked.address)
        browser.wait("!document.querySelector('#unlock').hidden")
        browser.js(f"document.querySelector('#token').value = '{token}'")
        browser.click("#unlock button")
        browser.wait("document.querySelector('#limits').textContent")
        browser.open(locked.greeting.split()[4].replace("#", "?again#"))
        browser.wait("document.querySelector('#limits').textContent")
        assert browser.js("location.hash") == ""
        choose(browser, FAKE)
        browser.wait(VERDICT)
        browser.said[:] = [line for line in browser.said if "401" not in line]
