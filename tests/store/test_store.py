"""The store on disk: read as written, resumed after a kill, unchanged by a failure."""
import errno
import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.audio.example_speech import crops
from utils.store import writer as store_writer
from utils.audio.sources import AudioError
from utils.store.merge import merge
from utils.store.reader import Store, shard_name
from utils.store.replacement import building, difference, recover
from utils.store.writer import StoreWriter
from utils.common.errors import InputError
from utils.trials.labels import Labels
from utils.common.files import read_json, write_json
from utils.common.locks import only_run

DESCRIPTION = {
    "subset": "dev", "settings": {"limit": None, "seed": 0}, "trial_list_sha256": "0" * 64,
    "corpus": {"name": "test", "description": "a test", "demo": False, "seen_attacks": []},
    "environment": {"packages": {}}}
OTHER = DESCRIPTION | {"trial_list_sha256": "1" * 64}


@pytest.fixture(scope="module")
def waves() -> list[np.ndarray]:
    """Twelve utterances, real and synthetic."""
    return [*crops("bonafide", 6), *crops("spoof", 6)]


def about(number: int, source: str = "-") -> tuple[str, Labels]:
    key, attack = ("spoof", "A09") if number % 3 else ("bonafide", "-")
    return f"D_{number:04}", Labels(speaker="S1", gender="F", attack=attack, key=key, source=source)


def fill(writer: StoreWriter, waves: list[np.ndarray]) -> None:
    for number in range(writer.done, len(waves)):
        writer.add(*about(number), np.array_split(waves[number], 3), lambda: 16000)


def build(path: Path, waves: list[np.ndarray], description: dict = DESCRIPTION) -> Store:
    with StoreWriter(path, description) as writer:
        fill(writer, waves)
        writer.finish()
    return Store(path)


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def read_one(store: Store) -> bytes:
    return store.read(3).tobytes()


def test_what_was_written_is_read(tmp_path, waves, monkeypatch):
    monkeypatch.setattr(store_writer, "SHARD_BYTES", 500_000)
    store = build(tmp_path / "dev", waves)
    assert len(store) == len(waves) and len({row.shard for row in store.rows}) > 2
    for number, wave in enumerate(waves):
        row = store.rows[number]
        assert (row.utterance, row.labels) == about(number)
        assert row.n_samples == len(wave) and row.source_rate == 16000
        assert np.array_equal(store.read(number), wave) and store.read(number).dtype == np.int16
        assert np.array_equal(store.read(number, 100, 50), wave[100:150])
        assert np.array_equal(store.read(number, len(wave) - 5, 50), wave[-5:])
        assert len(store.read(number, len(wave) + 9)) == 0
    assert store.info["counts"] == {"selected": 12, "stored": 12, "skipped": 0, "bonafide": 4,
                                    "spoof": 8, "samples": sum(map(len, waves))}


def test_shards_hold_nothing_but_the_samples(tmp_path, waves):
    build(tmp_path / "dev", waves)
    folder = tmp_path / "dev"
    assert (folder / shard_name(0)).read_bytes() == np.concatenate(waves).astype("<i2").tobytes()
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["index.tsv", shard_name(0), "store.json"]


@pytest.mark.parametrize("links", (True, False))
def test_merged_parts_are_linked_or_else_copied(tmp_path, waves, monkeypatch, links):
    """Three parts, the first of two shards, the second empty; the parts stay as they were."""
    def refuse(old: Path, new: Path) -> None:
        raise OSError(errno.EPERM, "this file system has no links")
    with monkeypatch.context() as patched:
        patched.setattr(store_writer, "SHARD_BYTES", 4 * sum(map(len, waves[:3])))
        build(tmp_path / "part1", waves[:8])
    build(tmp_path / "part2", [])
    build(tmp_path / "part3", waves[8:])
    parts = [tmp_path / f"part{number}" for number in (1, 2, 3)]
    before = [content(part) for part in parts]
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    with StoreWriter(tmp_path / "whole", DESCRIPTION) as writer:
        merge(writer, parts)
        writer.finish()
    whole = Store(tmp_path / "whole")
    assert all(np.array_equal(whole.read(number), wave) for number, wave in enumerate(waves))
    assert len({row.shard for row in whole.rows}) == 3 and len(whole) == len(waves)
    assert [content(part) for part in parts] == before
    shared = os.path.samefile(tmp_path / "whole" / shard_name(0), parts[0] / shard_name(0))
    assert shared == links


def test_a_store_may_be_sent_to_spawned_processes(tmp_path, waves):
    store = build(tmp_path / "dev", waves)
    assert pickle.loads(pickle.dumps(store)).rows == store.rows
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(read_one, (store,)) == waves[3].tobytes()


def test_what_cannot_be_decoded_leaves_no_sample_and_is_named(tmp_path, waves):
    def broken():
        yield waves[0]
        raise AudioError("x.flac was cut\tshort")

    with StoreWriter(tmp_path / "dev", DESCRIPTION) as writer:
        writer.add(*about(0), [waves[0]], lambda: 16000)
        assert writer.add(*about(1), broken(), lambda: 16000) == r"x.flac was cut\tshort"
        writer.add(*about(2), [waves[2]], lambda: 16000)
        info = writer.finish()
    assert info["skipped"] == [["D_0001", r"x.flac was cut\tshort"]]
    assert info["counts"]["skipped"] == 1
    store = Store(tmp_path / "dev")
    assert [row.utterance for row in store.rows] == ["D_0000", "D_0002"]
    assert np.array_equal(store.read(1), waves[2])


@pytest.mark.parametrize("shard_bytes", (500_000, 1 << 28))
def test_whatever_a_kill_leaves_a_rerun_repairs(tmp_path, waves, monkeypatch, shard_bytes):
    """A kill can cut the journal at any byte; the shards may hold more than the journal says."""
    monkeypatch.setattr(store_writer, "SHARD_BYTES", shard_bytes)
    monkeypatch.setattr(store_writer, "COMMIT_BYTES", 1)
    build(tmp_path / "whole", waves)
    expected = content(tmp_path / "whole")
    rng = np.random.default_rng(1)
    for turn in range(12):
        path = tmp_path / f"dev{turn}"
        with StoreWriter(path, DESCRIPTION) as writer:
            fill(writer, waves[:rng.integers(1, 13)])
        journal = building(path) / "journal.tsv"
        os.truncate(journal, rng.integers(0, journal.stat().st_size + 1))
        with open(max(building(path).glob("shard-*")), "ab") as file:
            file.write(b"torn")
        build(path, waves)
        assert content(path) == expected


def test_a_half_built_store_is_not_a_store(tmp_path, waves):
    with StoreWriter(tmp_path / "dev", DESCRIPTION) as writer:
        fill(writer, waves[:3])
    with pytest.raises(InputError, match="the store .* is missing"):
        Store(tmp_path / "dev")
    with pytest.raises(InputError, match="is incomplete"):
        Store(building(tmp_path / "dev"))


def test_other_settings_do_not_go_on_with_a_half_built_store(tmp_path, waves):
    with StoreWriter(tmp_path / "dev", DESCRIPTION) as writer:
        fill(writer, waves[:5])
    for change in ({"settings": {"limit": 9, "seed": 0}}, {"trial_list_sha256": "1" * 64},
                   {"environment": {"packages": {"soxr": "0.0"}}}):
        with StoreWriter(tmp_path / "dev", DESCRIPTION | change) as writer:
            assert writer.done == 0


def test_the_old_store_stays_until_the_new_one_is_complete(tmp_path, waves):
    path = tmp_path / "dev"
    old = content(build(path, waves[:4]).path)
    with pytest.raises(RuntimeError), StoreWriter(path, OTHER) as writer:
        fill(writer, waves[:8])
        raise RuntimeError
    assert content(path) == old
    assert len(build(path, waves, OTHER)) == 12


@pytest.mark.parametrize("killed_after", ("description", "old moved", "new moved"))
def test_a_swap_killed_between_its_renames_is_finished(tmp_path, waves, killed_after, monkeypatch):
    path, other = tmp_path / "dev", DESCRIPTION | {"trial_list_sha256": "1" * 64}
    build(path, waves[:4])
    monkeypatch.setattr(store_writer, "swap", lambda path: None)
    with StoreWriter(path, other) as writer:
        fill(writer, waves)
        writer.finish()
    monkeypatch.undo()
    if killed_after != "description":
        os.replace(path, tmp_path / "dev.old")
    if killed_after == "new moved":
        os.replace(building(path), path)
    recover(path)
    assert len(Store(path)) == 12 and difference(path, other) is None
    assert [file.name for file in tmp_path.iterdir()] == ["dev"]


def test_an_old_store_comes_back_where_the_new_one_was_lost(tmp_path, waves):
    build(tmp_path / "dev", waves[:4])
    os.replace(tmp_path / "dev", tmp_path / "dev.old")
    recover(tmp_path / "dev")
    assert len(Store(tmp_path / "dev")) == 4


def test_a_full_disk_is_reported_and_the_rest_is_written_later(tmp_path, waves, monkeypatch):
    """The disk is full at the third write. tests/robustness fills a small file system for real."""
    path = tmp_path / "dev"
    message = "the disk is full"
    with pytest.raises(InputError, match=message), StoreWriter(path, DESCRIPTION) as writer:
        fill(writer, waves[:2])
        monkeypatch.setattr(writer, "_append", full_disk)
        fill(writer, waves)
    build(path, waves)
    assert content(path) == content(build(tmp_path / "other", waves).path)


def full_disk(blocks):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_really_full_is_said(tmp_path, waves):
    writer = StoreWriter(tmp_path / "dev", DESCRIPTION)
    with pytest.raises(InputError, match="the disk is full"), writer:
        writer._file.close()
        writer._file = open("/dev/full", "r+b")
        fill(writer, waves)


def damage_index(path: Path) -> None:
    text = (path / "index.tsv").read_text().splitlines(keepends=True)
    (path / "index.tsv").write_text("".join(text[:-1]) + text[-1][:10])


def describe(path: Path, **changes: object) -> None:
    """Change store.json."""
    write_json(path / "store.json", read_json(path / "store.json") | changes)


DAMAGES = {
    "no description": lambda path: (path / "store.json").unlink(),
    "no JSON": lambda path: (path / "store.json").write_text("{"),
    "incomplete": lambda path: describe(path, complete=False),
    "from the future": lambda path: describe(path, format=99),
    "shard missing": lambda path: (path / shard_name(0)).unlink(),
    "shard cut": lambda path: os.truncate(path / shard_name(0), 1000),
    "shard too long": lambda path: open(path / shard_name(0), "ab").write(b"xx"),
    "index cut": damage_index,
    "index missing": lambda path: (path / "index.tsv").unlink(),
    "index of another kind": lambda path: (path / "index.tsv").write_text("a\tb\n"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused_in_one_sentence(tmp_path, waves, damage):
    build(tmp_path / "dev", waves[:4])
    DAMAGES[damage](tmp_path / "dev")
    with pytest.raises(InputError) as error:
        Store(tmp_path / "dev")
    assert "dev" in str(error.value) and "\n" not in str(error.value)


def test_the_second_of_two_runs_is_refused_and_a_dead_one_leaves_no_lock(tmp_path):
    with only_run(tmp_path / "dev.lock", "writing dev"):
        message = f"process {os.getpid()}"
        with pytest.raises(InputError, match=message), only_run(tmp_path / "dev.lock", "writing"):
            pass
    (tmp_path / "dev.lock").write_text("999999\n")  # what a killed run leaves
    with only_run(tmp_path / "dev.lock", "writing dev"):
        pass


def test_a_store_of_before_sources_were_known_is_read(tmp_path, waves):
    path = tmp_path / "dev"
    with StoreWriter(path, DESCRIPTION) as writer:
        for number, wave in enumerate(waves):
            writer.add(*about(number, f"lab {number % 2}"), [wave], lambda: 16000)
        writer.finish()
    store = Store(path)
    assert [row.labels.source for row in store.rows[:3]] == ["lab 0", "lab 1", "lab 0"]
    index = path / "index.tsv"
    lines = index.read_text().splitlines()
    index.write_text("".join(line.rsplit("\t", 1)[0] + "\n" for line in lines))
    old = Store(path)
    assert {row.labels.source for row in old.rows} == {"-"} and read_one(old) == read_one(store)


def test_a_store_of_another_trial_list_than_the_prepared_one_is_refused(tmp_path, waves):
    build(tmp_path / "processed" / "dev", waves)
    (tmp_path / "protocols").mkdir()
    corpus = tmp_path / "protocols" / "corpus.json"
    write_json(corpus, {"subsets": {"dev": {"sha256": DESCRIPTION["trial_list_sha256"]}}})
    assert len(Store(tmp_path / "processed" / "dev")) == len(waves)
    write_json(corpus, {"subsets": {"dev": {"sha256": OTHER["trial_list_sha256"]}}})
    with pytest.raises(InputError, match="older than the prepared .* --subset dev"):
        Store(tmp_path / "processed" / "dev")


def test_ctrl_c_while_the_journal_is_written_doubles_nothing(tmp_path, monkeypatch):
    """The lines are on disk before the writer knows it; when it exits, it writes them again."""
    wave, written = np.arange(500, dtype=np.int16), store_writer._flush

    def interrupted(file):
        written(file)
        if file.name.endswith(store_writer.JOURNAL):
            monkeypatch.setattr(store_writer, "_flush", written)
            raise KeyboardInterrupt

    about = {"subset": "dev", "settings": {}, "corpus": {}, "trial_list_sha256": ""}
    monkeypatch.setattr(store_writer, "COMMIT_BYTES", 1)
    monkeypatch.setattr(store_writer, "_flush", interrupted)
    with pytest.raises(KeyboardInterrupt), StoreWriter(tmp_path / "dev", about) as writer:
        writer.add("U1", Labels(key="bonafide"), [wave], lambda: 16000)
    with StoreWriter(tmp_path / "dev", about) as writer:
        assert writer.done == 1
        writer.add("U2", Labels(key="bonafide"), [wave], lambda: 16000)
        assert writer.finish()["counts"]["stored"] == 2
