"""The faults of `python -m tests.robustness`, a few of each kind: what is injected and judged is
the same, at a small size.
"""
import sys

import pytest

from tests.robustness import disk, limits, pairs
from tests.robustness.bench.harness import Bench
from tests.robustness.kills import interrupts, kills
from tests.robustness.load import load
from tests.robustness.bench.records import Row
from tests.robustness.bench.steps import ALL, EVALUATE, INFER, PREPARE, PREPROCESS, STEPS, TRAIN
from tests.robustness.zoo import hard_files

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="kill -9, small disks and limits of memory as Linux has them")
SEED = 8
TOLD = "told in one sentence, exit code 1"


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("robustness"), recordings=30)
    yield made
    made.close()


def by_name(step) -> str:
    return step.name


def nothing_wrong(row: Row, *outcomes: str, least: int = 1) -> None:
    """The row has no wrong outcome, and each of these so often at least: something was really
    injected.
    """
    assert not row.wrong, "\n".join(row.wrong)
    assert outcomes and all(row.outcomes[name] >= least for name in outcomes), row.text()


@pytest.mark.parametrize("step", STEPS, ids=by_name)
def test_killed_at_random_instants_the_rerun_gives_the_same_bytes(bench, step):
    nothing_wrong(kills(bench, step, 3, SEED), "reruns complete and byte-identical")


@pytest.mark.parametrize("step", STEPS, ids=by_name)
def test_ctrl_c_ends_in_one_sentence_and_is_gone_on_from(bench, step):
    nothing_wrong(interrupts(bench, step, 1, SEED), "reruns byte-identical")


@pytest.mark.parametrize("step", ALL, ids=by_name)
def test_a_full_disk_is_told_and_loses_nothing(bench, step):
    try:
        nothing_wrong(disk.full_disk(bench, step, 2, SEED), TOLD, "reruns byte-identical", least=2)
    except disk.NoDisk as reason:
        pytest.skip(f"NO SMALL DISK: mounting is not permitted here ({reason})")


def test_a_full_disk_behind_stdout_is_told(bench):
    nothing_wrong(disk.full_output(bench, INFER), TOLD)


@pytest.mark.parametrize("step", (PREPARE, PREPROCESS, EVALUATE, INFER), ids=by_name)
def test_of_two_runs_at_once_the_second_is_told_or_both_are_right(bench, step):
    nothing_wrong(pairs.pairs(bench, step, 1, SEED), "reruns byte-identical")


def test_a_loss_that_is_no_number_keeps_the_last_good_epoch(bench):
    row = limits.diverging_loss(bench, 1, SEED)
    nothing_wrong(row, "reruns byte-identical")
    nothing_wrong(row, "stopped and the batch named", least=2)


@pytest.mark.parametrize("step", (TRAIN, PREPROCESS), ids=by_name)
def test_short_memory_names_the_flag_to_lower(bench, step):
    nothing_wrong(limits.short_memory(bench, step, 1, SEED),
                  f"told in one sentence that names {limits.HUNGRY[step][2]}")


def test_a_folder_with_broken_files_is_accounted_for(bench):
    for row in load(bench, 60):
        nothing_wrong(row, "scored", "refused", least=3)


def test_hard_flac_files_have_their_samples_and_score(bench, shared):
    nothing_wrong(hard_files(bench, shared), "with the recorded sum of their samples", "scored",
                  least=5)
