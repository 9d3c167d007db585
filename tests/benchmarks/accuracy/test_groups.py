"""Tables of groups: exact figures of results made by hand, and errors of lists that do not fit."""
import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.accuracy.bench_groups import (main, read_clips, speakers,
                                                   verdicts_across)
from tests.benchmarks.results_files import read_rows
from utils.common.errors import InputError
from utils.detector.decision import SPOOF

# utterance, speaker, key, attack, category, paired, source, score
CLIPS = [("a/r1", "s1", "bonafide", "-", "-", "1", "lab", 3.0),
         ("a/r2", "s2", "bonafide", "-", "-", "1", "lab", 0.5),
         ("a/r3", "-", "bonafide", "-", "-", "0", "street", -1.0),
         ("a/r4", "x:unknown", "bonafide", "-", "-", "0", "street", 2.0),
         ("a/f1", "s1", "spoof", "NSF-9", "vocoder", "1", "lab", 2.5),
         ("a/f2", "s2", "spoof", "WORLD", "vocoder", "1", "lab", -3.0),
         ("b/f3", "-", "spoof", "VITS", "tts", "0", "page", -2.0),
         ("b/f4", "-", "spoof", "VITS", "tts", "0", "page", -0.6),
         ("b/f5", "x:unknown", "spoof", "VITS", "tts", "0", "page", -4.0)]
NAMES = ("eer", "real-below-threshold", "spoof-above-threshold", "verdicts", "promises")
COLUMNS = ("utterance", "speaker", "key", "attack", "category", "paired", "source")


@pytest.fixture
def made(tmp_path) -> Path:
    """A results folder, and its trial list with other paths, in another order, with a clip more."""
    results = tmp_path / "results"
    results.mkdir()
    for name, header, values in (("scores.tsv", "filename\tcm-score", [clip[7] for clip in CLIPS]),
                                 ("keys.tsv", "filename\tcm-label", [clip[2] for clip in CLIPS])):
        lines = [header, *(f"{clip[0]}\t{value}" for clip, value in zip(CLIPS, values))]
        (results / name).write_text("\n".join(lines) + "\n")
    point = {"threshold": -0.5, "band": [-1.5, 1.0], "origin": "dev"}
    (results / "metrics.json").write_text(json.dumps({"operating_point": point}))
    listed = [(f"{clip[0][2:]}.flac", *clip[1:7]) for clip in reversed(CLIPS)]
    write_trials(tmp_path, [("c/more.wav", *CLIPS[0][1:7]), *listed])
    return tmp_path


def write_trials(folder: Path, rows: list[tuple], columns: tuple[str, ...] = COLUMNS) -> None:
    lines = ["\t".join(row[:len(columns)]) for row in [columns, *rows]]
    (folder / "trials.tsv").write_text("\n".join(lines) + "\n")


def tables(folder: Path, *options: str) -> list[list[list[str]]]:
    """The cells below the header of each table that is printed; the CSV files hold as many rows."""
    printed = io.StringIO()
    out = folder / "csv"
    with contextlib.redirect_stdout(printed):
        assert main(["--results", str(folder / "results"), "--trials", str(folder / "trials.tsv"),
                     "--output", str(out), "--conditions", "made-up", *options]) == 0
    *parts, last = printed.getvalue().split("\n\n")
    assert last == "Threshold -0.50 (dev), band -1.50 to 1.00.\n"
    found = [[[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines()[2:]]
             for part in parts]
    written = [read_rows(out / f"groups-{name}-made-up.csv") for name in NAMES]
    assert list(map(len, written)) == list(map(len, found))
    return found


def test_eers_are_of_all_of_the_paired_of_each_category_and_of_those_without_an_attack(made):
    eers = tables(made, "--without", "NSF")[0]
    assert [[row[0], *row[1:3], row[3].split(" (")[0]] for row in eers] == [
        ["all", "4", "5", "22.5"], ["all, without NSF", "4", "4", "25.0"],
        ["paired", "2", "2", "50.0"], ["paired, without NSF", "2", "1", "0.0"],
        ["tts", "4", "3", "29.2"], ["vocoder", "4", "2", "50.0"],
        ["vocoder, without NSF", "4", "1", "0.0"]]
    assert eers[0][4] == "7 speakers, too narrow"   # five of them unknown
    assert eers[2][4] == "trials"                   # the paired ones are of two speakers
    assert eers[3][3] == "0.0 (0.0 to 0.0)"


def test_another_system_on_the_same_clips_gets_a_column(made):
    other = made / "other"
    shutil.copytree(made / "results", other)
    perfect = [f"{clip[0]}\t{1 if clip[2] == 'bonafide' else -1}" for clip in CLIPS]
    (other / "scores.tsv").write_text("\n".join(["filename\tcm-score", *perfect]) + "\n")
    eers = tables(made, "--beside", f"perfect={other}", f"the same={made / 'results'}")[0]
    assert [row[0] for row in eers] == ["all", "paired", "tts", "vocoder"]
    for row in eers:
        assert row[-2:] == ["0.0", row[3].split(" (")[0]]


def test_another_system_that_scored_other_clips_is_refused(made):
    other = made / "other"
    shutil.copytree(made / "results", other)
    for name in ("scores.tsv", "keys.tsv"):
        lines = (other / name).read_text().splitlines()
        (other / name).write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(InputError, match="lacking scored other clips"):
        tables(made, "--beside", f"lacking={other}")


def test_across_sources_each_is_judged_by_a_fit_that_did_not_see_it():
    """The real speech of one source scores like fakes. Only the fits of the others know that."""
    rng = np.random.default_rng(0)
    groups = np.repeat(["a", "b", "odd"], 80)
    real = np.tile([True, False], 120)
    scores = rng.normal(np.where(real & (groups != "odd"), 3, -3), 0.5)
    verdicts = verdicts_across(scores, real, groups)
    assert (verdicts[real & (groups == "odd")] == SPOOF).mean() > 0.8
    assert (verdicts[groups != "odd"] == SPOOF).mean() < 0.1


def test_unknown_speakers_are_each_one_of_their_own(made):
    numbers = speakers(read_clips(made / "results", made / "trials.tsv"))
    assert len(set(numbers)) == 7 and numbers[0] == numbers[4] and numbers[1] == numbers[5]
    write_trials(made, [(clip[0], "-", *clip[2:7]) for clip in CLIPS])
    assert tables(made)[0][0][4] == "trials"


def test_errors_at_the_threshold_are_sorted_by_their_share(made):
    _, real, spoofed, *_ = tables(made)
    assert real == [["street", "2", "1", "50.0", "0.0"], ["lab", "2", "0", "0.0", "0.0"],
                    ["all", "4", "1", "25.0", "0.0"]]
    assert spoofed == [["lab", "2", "1", "50.0", "50.0"], ["page", "3", "0", "0.0", "0.0"],
                       ["all", "5", "1", "20.0", "20.0"]]
    assert tables(made, "--by", "attack")[2][0] == ["NSF-9", "1", "1", "100.0", "100.0"]


def test_eers_may_leave_out_sources_of_one_class_and_intervals_may_resample_sources(made):
    alone = tables(made, "--both_classes", "source")[0]
    assert [row[:3] for row in alone] == [["all", "2", "2"], ["paired", "2", "2"],
                                          ["vocoder", "2", "2"]]
    many = [(*clip[:6], f"source {number % 6}", clip[7]) for number, clip in enumerate(CLIPS)]
    write_trials(made, many)
    assert tables(made, "--resample", "source")[0][0][4] == "6 sources, too narrow"


def test_years_of_systems_are_groups_of_their_own(made):
    years = ["-", "-", "-", "-", "2020", "2024", "2024", "-", "2024"]
    write_trials(made, [(*clip[:7], year) for clip, year in zip(CLIPS, years)],
                 (*COLUMNS, "year"))
    eers, _, _, verdicts, promises = tables(made)
    assert [row[:3] for row in eers[-2:]] == [["systems of 2020", "4", "1"],
                                              ["systems of 2024", "4", "3"]]
    assert verdicts[4] == ["systems of 2024", "3", "0.0", "0.0", "100.0"]
    assert promises[3][1:] == ["systems of 2020", "1", "10", "100.0", "no"]


def test_outcomes_are_of_the_stored_band(made):
    assert tables(made)[3] == [["bona fide", "4", "50.0", "50.0", "0.0"],
                               ["tts", "3", "0.0", "33.3", "66.7"],
                               ["vocoder", "2", "50.0", "0.0", "50.0"],
                               ["all spoofed", "5", "20.0", "20.0", "60.0"],
                               ["all", "9", "33.3", "33.3", "33.3"]]


def test_a_sure_verdict_is_held_to_what_it_promises(made):
    assert tables(made)[4] == [
        ["real clips called likely spoof", "all", "4", "3", "0.0", "yes"],
        ["real clips called likely spoof, worst source with both classes", "lab", "2", "15", "0.0",
         "yes"],
        ["fakes called likely bona fide", "all", "5", "5", "20.0", "no"],
        ["fakes called likely bona fide, worst category or year", "vocoder", "2", "10", "50.0",
         "no"]]


def test_a_list_of_utterances_and_attacks_alone_gives_the_rows_it_can(made):
    write_trials(made, [(clip[0], clip[3]) for clip in CLIPS], ("utterance", "attack"))
    eers, real, spoofed, outcomes, promises = tables(made)
    assert [row[0] for row in eers] == ["all"] and eers[0][4] == "trials"
    assert real == [["all", "4", "1", "25.0", "0.0"]]
    assert [row[0] for row in outcomes] == ["bona fide", "all spoofed", "all"]
    assert [row[1] for row in promises] == ["all", "all"]


@pytest.mark.parametrize("rows, options, said", [
    (CLIPS[:-1], (), "lists f5 nowhere"),
    ([*CLIPS, ("z/f5", *CLIPS[-1][1:])], (), "lists f5 more than once"),
    ([("a/r1", "s1", "spoof", *CLIPS[0][3:]), *CLIPS[1:]], (), "says that r1 is spoof"),
    (CLIPS, ("--by", "corpus"), "no column corpus"),
    (CLIPS, ("--without", "WaveNet"), "no attack in these results starts with WaveNet")])
def test_what_does_not_fit_ends_in_a_sentence(made, rows, options, said):
    write_trials(made, rows)
    with pytest.raises(InputError, match=said):
        tables(made, *options)


def test_a_list_that_is_missing_or_malformed_ends_in_a_sentence(made):
    (made / "trials.tsv").write_text("utterance\tattack\nf1\n")
    with pytest.raises(InputError, match="does not have the 2 columns"):
        tables(made)
    (made / "trials.tsv").write_text("f1\tspoof\n")
    with pytest.raises(InputError, match="no column utterance"):
        tables(made)
    (made / "trials.tsv").unlink()
    with pytest.raises(InputError, match="there is no trial list"):
        tables(made)
