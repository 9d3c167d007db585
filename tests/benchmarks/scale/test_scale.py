"""ASVspoof5 in its shape, at 300 utterances, through the steps; more of it takes no more memory."""
import json

import pytest

from tests.benchmarks.scale.bench_scale import lay_out, measured, steps_of
from tests.benchmarks.scale.corpus import KEYS, SCORES, SHAPES, WHOLE, build, number_of
from tests.helpers.steps import step
from utils.corpora.asvspoof.asvspoof5 import ARCHIVES
from utils.store.reader import Store

SMALL, LARGER = 300, 3_000
FLAT_MB = 6


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """A small and a larger corpus, prepared by no step yet."""
    folder = tmp_path_factory.mktemp("scale")
    for count in (SMALL, LARGER):
        build(folder / str(count), count)
        lay_out(folder / str(count), count, 0.01)
    return {count: folder / str(count) for count in (SMALL, LARGER)}


def test_the_parts_have_the_counts_of_the_release():
    assert [number_of(shape, WHOLE) for shape in SHAPES] == [182_357, 140_950, 680_774]
    assert WHOLE == 1_004_081


def test_the_corpus_is_prepared_stored_and_evaluated(homes):
    home = homes[SMALL]
    names = {path.name for path in (home / "raw").iterdir()}
    assert names == {"ASVspoof5_protocols.tar.gz", *sum(ARCHIVES.values(), [])}
    assert step("utils/prepare_dataset.py", "--data_dir", home).returncode == 0
    subsets = json.loads((home / "protocols" / "corpus.json").read_text())["subsets"]
    assert {name: (found["found"], found["origin"]) for name, found in subsets.items()} == {
        shape.name: (number_of(shape, SMALL), "official") for shape in SHAPES}
    done = step("utils/preprocess_data.py", "--data_dir", home, "--subset", "dev")
    assert done.returncode == 0, done.stderr
    rows = Store(home / "processed" / "dev").rows
    assert len(rows) == subsets["dev"]["found"] and {row.labels.codec for row in rows} == {"-"}
    done = step("utils/evaluate_model.py", "--scores", home / SCORES, "--keys", home / KEYS,
                "--json", "--replicates", 20)
    figures = json.loads(done.stdout)
    assert sum(figures["trials"].values()) == subsets["eval"]["found"]
    assert set(figures["per_attack"]) == set(subsets["eval"]["attacks"])
    assert len(figures["per_codec"]) > 8 and figures["interval"]["by"].endswith("speakers")


@pytest.mark.parametrize("name", ["index the archives", "preprocess dev, --low_memory"])
def test_what_streams_needs_no_more_memory_for_more(homes, name):
    peaks = []
    for count, home in homes.items():
        step("utils/prepare_dataset.py", "--data_dir", home)
        streaming = next(one for one in steps_of(home, count) if one.name == name)
        peaks.append(float(measured(streaming)["peak MB"]))
        assert all(path.is_dir() for path in streaming.written)
    assert peaks[1] < peaks[0] + FLAT_MB
