"""Draw the pictures of notebooks/GUIDE.md and the README from results/ and from the network.

    python tests/benchmarks/docs/pictures.py   draw all that need no run and no engine
    python tests/benchmarks/docs/pictures.py --check   exit 1 if a picture's figures changed
    python tests/benchmarks/docs/pictures.py --speech  also draw one sentence by five synthesisers
    python tests/benchmarks/docs/pictures.py --report report.html   also photograph it

A picture of figures names its CSV files with their sums. The photograph needs Chromium.
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[3])

import argparse
import hashlib
import io
import re
import shutil
import subprocess
import tempfile

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from tests.benchmarks.docs import drawings
from tests.benchmarks.results_files import RESULTS, read_rows
from utils.common.errors import InputError, run
from utils.common.files import ROOT, atomic_write
from utils.report.plots import new_figure, save

PICTURES = ROOT / "notebooks" / "pictures"
BLUE, RED, ORANGE, GREY = "#2a6db0", "#b02a2a", "#c77a12", "#8a8a8a"
# rows of the networks' errors begin with these words; the others name their costs
NETWORKS = {"small": "small", "LCNN": "lcnn", "LFCC-GMM": "lfcc-gmm", "AASIST-L": "aasist-l",
            "AASIST likewise": "aasist", "hybrid": "hybrid"}
LABELS_AT = {"small": (8, -4), "lcnn": (8, -4), "lfcc-gmm": (8, -4), "aasist-l": (-8, 8),
             "aasist": (-8, 8), "hybrid": (-8, -14)}
SENTENCE = "We walked along the canal until it was too dark to see the boats."


def cost() -> Figure:
    """EER on the default corpus against the time of one window, for all networks."""
    time = {row["architecture"]: row for row in read_rows(RESULTS / "architectures-zen5-busy.csv")}
    figure, (ax,) = new_figure(7.2, 4.2)
    for row in read_rows(RESULTS / "default-corpus-networks-seeds1-3.csv"):
        name = next((name for words, name in NETWORKS.items() if row["network"].startswith(words)),
                    None)
        if name is None:
            continue
        x = float(time[name]["ms per window"])
        ax.errorbar(x, float(row["all"]), float(row["all sd"]), fmt="o", color=BLUE, capsize=3)
        ax.annotate(name, (x, float(row["all"])), LABELS_AT[name], textcoords="offset points",
                    ha="left" if LABELS_AT[name][0] > 0 else "right")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.set(xlabel="ms for a window of 4 s, exported (log scale)", xlim=(1, 300), ylim=(0, 50),
           ylabel="EER on the default corpus, %")
    return figure


def systems() -> Figure:
    """EER by system (small model, default corpus) and by year (pretrained model, dev sources)."""
    figure, axes = new_figure(10.5, 4.6, 2)
    rows = [row for row in read_rows(RESULTS / "default-corpus-small-model-seeds1-3.csv")
            if re.match(r"A\d\d ", row["attack"])]
    rows.sort(key=lambda row: -float(row["EER"]))
    axes[0].barh([row["attack"][4:] for row in rows], [float(row["EER"]) for row in rows],
                 xerr=[float(row["EER sd"]) for row in rows], ecolor="#555555", capsize=2,
                 color=[BLUE if row["in training"] == "seen" else ORANGE for row in rows])
    axes[0].set(title="by system: small model, default corpus", xlim=(0, 60),
                xlabel="EER, %: blue = system in training, orange = not")
    axes[0].axvline(50, color=GREY, linewidth=0.8, linestyle="--")
    rows = [row for row in read_rows(RESULTS / "groups-eer-pretrained-dev-sources.csv")
            if row["clips"] != "all"]
    names = [row["clips"].removeprefix("systems of ") for row in rows]
    middle = np.array([float(row["EER"]) for row in rows])
    low, high = (np.array([float(row[f"EER {end}"]) for row in rows]) for end in ("low", "high"))
    colours = [GREY if not name.isdecimal() else BLUE for name in names]
    axes[1].bar(names, middle, color=colours)
    axes[1].errorbar(range(len(rows)), middle, [np.maximum(middle - low, 0),
                                                np.maximum(high - middle, 0)],
                     fmt="none", ecolor="#555555", capsize=2)
    axes[1].set(title="by kind and year: pretrained model, dev sources", ylim=(0, 60),
                ylabel="EER, % (95 % interval over sources)")
    axes[1].axhline(50, color=GREY, linewidth=0.8, linestyle="--")
    axes[1].tick_params(axis="x", rotation=45)
    return figure


def levels() -> Figure:
    """How far the volume knob, an offset and hum move a score, without and with the front stage."""
    figure, axes = new_figure(10.5, 3.6, 3)
    kinds = (("gain -", "gain, dB", -1), ("offset ", "offset (full scale = 1)", 1),
             ("hum, 50 Hz, ", "50 Hz hum (full scale = 1)", 1))
    for name, label, colour in (("former", "without front stage", RED),
                                ("pretrained", "with front stage", BLUE)):
        rows = read_rows(RESULTS / f"levels-{name}.csv")
        for ax, (start, words, sign) in zip(axes, kinds):
            points = [(sign * float(row["change"].removeprefix(start).removesuffix(" dB")),
                       float(row["mean change of the score"]))
                      for row in rows
                      if row["change"].startswith(start) and "24 bits" not in row["change"]]
            ax.plot(*zip(*sorted(points)), "o-", color=colour, label=label)
            ax.set(xlabel=words, ylim=(-0.1, 3.1))
    axes[0].set_ylabel("mean change of the score")
    axes[0].legend(frameon=False, loc="upper right")
    return figure


def memory() -> Figure:
    """Peak memory of training against batch size, for each network."""
    figure, (ax,) = new_figure(7.2, 4.2)
    rows = read_rows(RESULTS / "training-memory-xeon-busy.csv")
    for name, colour in zip(dict.fromkeys(row["network"] for row in rows),
                            (BLUE, ORANGE, "#3c8a3c", RED, GREY)):
        own = [row for row in rows if row["network"] == name and row["workers"] == "0"]
        ax.plot([int(row["batch size"]) for row in own], [int(row["MB"]) / 1000 for row in own],
                "o-", color=colour, label=name)
    ax.axhline(4, color="black", linewidth=0.8, linestyle="--", label="4 GB")
    ax.set_xscale("log", base=2)
    ax.set(xlabel="utterances in a batch", ylabel="peak memory, GB", ylim=(0, 5))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.legend(frameon=False)
    return figure


def scale() -> Figure:
    """CPU time and peak memory of each step against the utterances that it goes through."""
    figure, axes = new_figure(10.5, 4.6, 2)
    rows = [row for row in read_rows(RESULTS / "scale-xeon-busy.csv") if "real" not in row["step"]
            and "extrapolated" not in row["step"]]
    for number, name in enumerate(dict.fromkeys(row["step"] for row in rows)):
        own = [row for row in rows if row["step"] == name]
        for ax, column in zip(axes, ("CPU s", "peak MB")):
            ax.plot([int(row["utterances"]) for row in own], [float(row[column]) for row in own],
                    "o-", color=f"C{number}", markersize=3.5, label=name)
    axes[0].plot([1e3, 1e6], [1, 1000], color=GREY, linestyle="--", linewidth=0.8,
                 label="1 ms for each utterance")
    axes[1].axhline(1000, color="black", linestyle="--", linewidth=0.8)
    axes[1].text(1e3, 1015, "1 GB", fontsize=7.5)
    axes[0].set(yscale="log", ylabel="CPU seconds")
    axes[1].set(ylabel="peak memory, MB", ylim=(0, 1100))
    for ax in axes:
        ax.set(xscale="log", xlabel="utterances")
    axes[0].legend(frameon=False, fontsize=7.5)
    return figure


# each picture of figures, and the CSV files that it is made of
FIGURES = {
    cost: ("default-corpus-networks-seeds1-3", "architectures-zen5-busy"),
    systems: ("default-corpus-small-model-seeds1-3", "groups-eer-pretrained-dev-sources"),
    levels: ("levels-former", "levels-pretrained"),
    memory: ("training-memory-xeon-busy",),
    scale: ("scale-xeon-busy",)}


def made_of(tables: tuple[str, ...]) -> str:
    """The names of CSV files with the first digits of their sums, as a picture records them."""
    return "made of " + ", ".join(
        f"{name} {hashlib.sha256((RESULTS / f'{name}.csv').read_bytes()).hexdigest()[:12]}"
        for name in tables)


def write_figure(draw, tables: tuple[str, ...]) -> None:
    """Write a picture of figures as SVG, with what it is made of and without a date."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": draw.__name__, "svg.fonttype": "none",
                                "font.family": "sans-serif"}):
        draw().savefig(file, format="svg", metadata={"Date": None, "Creator": None,
                                                     "Description": made_of(tables)})
    with atomic_write(PICTURES / f"{draw.__name__}.svg") as out:
        out.write(re.sub(r" +\n", "\n", file.getvalue()))


def out_of_date() -> list[str]:
    """The pictures whose figures have changed since they were drawn."""
    found = []
    for draw, tables in FIGURES.items():
        path = PICTURES / f"{draw.__name__}.svg"
        if not path.is_file() or made_of(tables) not in path.read_text(encoding="utf-8"):
            found.append(path.name)
    return found


def speech() -> Figure:
    """Spectrograms of one sentence by four synthesisers, and of a copy by a vocoder."""
    from utils.signals.levels import without_edge_silence
    from utils.signals.spectra import stft
    from utils.synthesis.tts import engines
    from utils.synthesis.vocoders.catalogue import open_vocoder, specs
    said = {engine: getattr(engines, engine)(SENTENCE, "en", np.random.default_rng(1))
            for engine in ("espeak", "piper", "hibari", "kokoro")}
    said = {name: without_edge_silence(wave) for name, wave in said.items()}
    waves = {name: wave / np.abs(wave).max() for name, wave in said.items()}
    copier = open_vocoder(specs(["griffin-lim"], [])[0])
    waves["kokoro copied by Griffin-Lim"] = copier.copies([0.2 * waves["kokoro"]],
                                                          [np.random.default_rng(1)])[0] / 0.2
    figure = Figure(figsize=(10, 8.5), dpi=80, layout="constrained")
    for number, (name, wave) in enumerate(waves.items(), 1):
        ax = figure.add_subplot(len(waves), 1, number)
        shown = 20 * np.log10(np.abs(stft(wave[:4 * 16000], 512, 128)).T + 1e-3)
        ax.imshow(shown, origin="lower", aspect="auto", cmap="magma", vmin=-45, vmax=30,
                  extent=(0, shown.shape[1] * 128 / 16000, 0, 8))
        ax.set(ylabel="kHz", xlim=(0, 4))
        ax.set_title(name, loc="left", fontsize=10)
    ax.set_xlabel("seconds")
    return figure


def photograph(page: Path, picture: Path, width: int = 1120, height: int = 1500) -> None:
    """A picture of a page as Chromium shows it. Raises `InputError` without Chromium or page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None or not page.is_file():
        raise InputError(f"a photograph of {page} needs that page and Chromium: "
                         "install chromium, or name another page with --report")
    from PIL import Image
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu",
                        "--hide-scrollbars", f"--window-size={width},{height}",
                        f"--screenshot={shot}", page.resolve().as_uri()],
                       check=True, capture_output=True, timeout=120)
        with Image.open(shot) as image, atomic_write(picture, "wb") as file:
            image.convert("RGB").quantize(96).save(file, format="PNG", optimize=True)


def main(argv: list[str] | None = None) -> int:
    """Draw the pictures or, with --check, name those that are out of date."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--check", action="store_true", help="change nothing; exit code 1 if one is out of date")
    add("--speech", action="store_true", help="also one sentence by five synthesisers")
    add("--report", type=Path, help="also a photograph of this report")
    args = parser.parse_args(argv)
    if args.check:
        for name in (old := out_of_date()):
            print(f"{name} is out of date: run python tests/benchmarks/docs/pictures.py",
                  file=sys.stderr)
        return 1 if old else 0
    for draw in (drawings.flow, drawings.aasist):
        with atomic_write(PICTURES / f"{draw.__name__}.svg") as file:
            file.write(draw().svg())
    for draw, tables in FIGURES.items():
        write_figure(draw, tables)
    if args.speech:
        save(speech(), PICTURES / "sentence.png", 48)
    if args.report:
        photograph(args.report, PICTURES / "report.png")
    print(f"pictures: {PICTURES}")
    return 0


if __name__ == "__main__":
    run(main)
