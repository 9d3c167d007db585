"""Several processes do what one does: the same losses, the same store, the same scores. Two
processes on one CPU."""
import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.helpers.asvspoof5_archives import build_raw
from tests.helpers.tiny_stores import tiny_stores
from utils import prepare_dataset
from utils.store.reader import Store
from utils.store.merge import part_path
from utils.common.errors import InputError
from utils.parallel.processes import Processes, job_name, place, wait_for
from utils.detector.checkpoint import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("RANK",
    "WORLD_SIZE")} | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_stores(tmp_path_factory.mktemp("tiny"))


def train(data: Path, out: Path, processes: int, *options: object) -> subprocess.CompletedProcess:
    """The training script in one process, or in several under torchrun."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", processes
                ] if processes > 1 else []
    command = [sys.executable, *launcher, ROOT / "notebooks/aasist_training.py", "--data_dir", data,
        "--checkpoint_dir", out / "c",
               "--results_dir", out / "r", "--run_name", f"by{processes}", *options]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=ENVIRONMENT,
                          cwd=ROOT.parent)


def history(out: Path, processes: int) -> np.ndarray:
    """Training loss, dev loss and dev EER of each epoch."""
    with open(out / f"r/by{processes}/history.csv", encoding="utf-8") as file:
        return np.array([[float(row[name]) for name in ("train_loss", "dev_loss", "dev_eer")]
                         for row in csv.DictReader(file)])


def test_two_processes_learn_the_small_model_as_one_does(data, tmp_path):
    """One step per epoch, 10 bona fide and 11 spoofed utterances that two cannot share evenly;
    dropout and masks are on. Rounding differs, and each step makes of it up to ten times as much.
    """
    options = ("--small_model", "--batch_size", 21, "--crop_seconds", 1, "--epochs", 3,
               "--learning_rate", 0.01, "--test", "--label_smoothing", 0.1)
    for processes in (1, 2):
        done = train(data, tmp_path, processes, *options)
        assert done.returncode == 0, done.stderr
    one, two = history(tmp_path, 1), history(tmp_path, 2)
    assert one.shape == (3, 3) and np.abs(one - two).max() < 3e-5
    assert np.ptp(one[:, 1]) > 1e-4     # dev is the same in each epoch: the weights have changed
    scores = [np.loadtxt(tmp_path / f"r/by{n}/scores.tsv", skiprows=1, usecols=1) for n in (1, 2)]
    # after calibration, whose scale is that of twelve utterances
    assert np.abs(scores[0] - scores[1]).max() < 1e-2
    assert done.stdout.count("kept the best epoch") == 1   # one process tells and writes
    assert load_checkpoint(tmp_path / "c/by2/last.pt")["environment"]["processes"] == 2


def test_two_processes_keep_the_average_that_one_process_keeps(data, tmp_path):
    """By the published recipe, with a batch that all utterances do not fill: loss, and batch norms
    renewed under dropout and masks."""
    options = ("--small_model", "--recipe", "published", "--batch_size", 100, "--crop_seconds", 1,
        "--epochs", 1, "--learning_rate", 1e-6)
    for processes in (1, 2):
        done = train(data, tmp_path, processes, *options)
        assert done.returncode == 0, done.stderr
    assert np.abs(history(tmp_path, 1) - history(tmp_path, 2)).max() < 1e-5
    for name in ("best_epoch.pt", "best.pt"):
        one, two = (load_checkpoint(tmp_path / f"c/by{n}" / name) for n in (1, 2))
        assert ("average of" in one["origin"]) == ("average of" in two["origin"]) == (name ==
            "best.pt")
        for weight, value in one["state_dict"].items():
            assert torch.allclose(value, two["state_dict"][weight], rtol=1e-4,
                                  atol=1e-6), (name, weight)


def test_two_processes_find_the_gradients_and_statistics_of_one_in_every_network():
    """In float64, where no maximum is another one for rounding; frozen parts, weights of classes, a
    teacher; dropout is on.

    Of a hybrid: the loss and the linear layer, whose sums are float64, also where a process has no
    utterance of a batch, or none at all.
    """
    networks = ("small", "aasist-l", "aasist", "lcnn", "ssl-aasist", "hybrid-shared",
                "hybrid-unshared")
    done = subprocess.run([
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        str(ROOT / "tests/helpers/two_processes.py"), *networks
    ], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    told = [line.split() for line in done.stdout.splitlines()]
    if sys.platform == "linux":
        # a thread left behind may abort the process as Python ends
        assert told.pop() == ["gloo", "0"]
    assert [line[0] for line in told] == list(networks)
    assert all(float(value) < 1e-6 for line in told for value in line[1:]), told


def test_a_batch_too_small_to_be_shared_is_refused(data, tmp_path):
    done = train(data, tmp_path, 2, "--small_model", "--batch_size", 1, "--recipe", "published",
        "--crop_seconds", 1)
    assert done.returncode != 0 and "raise --batch_size" in done.stderr
    mixtures = train(data, tmp_path, 2, "--architecture", "lfcc-gmm")
    assert mixtures.returncode != 0 and "in one process" in mixtures.stderr


def together(script: str, processes: int, *options: object) -> list[subprocess.CompletedProcess]:
    """A script in several processes that know of each other by their environment alone."""
    running = [
        subprocess.Popen([sys.executable, str(ROOT / script), *map(str, options)],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=ENVIRONMENT | {"RANK": str(rank), "WORLD_SIZE": str(processes)})
        for rank in range(processes)
    ]
    return [subprocess.CompletedProcess(process.args, process.wait(), *said) for process, said in
            [(process, process.communicate(timeout=300)) for process in running]]


def test_three_processes_make_the_store_that_one_makes(clips, tmp_path):
    data = tmp_path / "data"
    build_raw(data / "raw", clips, speakers=9, utterances=8)
    assert prepare_dataset.main(["--data_dir", str(data)]) == 0
    broken = sorted((data / "protocols").glob("train.tsv"))[0]
    rows = broken.read_text().splitlines()
    cells = rows[5].split("\t")
    # cut short: this one is skipped, by one process and by three
    cells[8] = "7"
    broken.write_text("\n".join([*rows[:5], "\t".join(cells), *rows[6:]]) + "\n")
    stores = []
    for processes in (1, 3):
        done = together("utils/preprocess_data.py", processes, "--data_dir", data, "--subset",
            "train", "--workers", 1)
        assert not any(process.returncode for process in done), [process.stderr for process in done]
        store = Store((data / "processed/train").rename(data / f"by{processes}"))
        stores.append([(replace(row, shard=0, start=0), store.read(number).tobytes())
                       for number, row in enumerate(store.rows)])
        stores.append(store.info)
    assert stores[:2] == stores[2:] and len(stores[1]["skipped"]) == 1
    assert [len(list((data / f"by{count}").glob("*.i16"))) for count in (1, 3)] == [1, 3]
    assert not list((data / "processed").glob("*.part-?-of-?"))


def test_two_processes_evaluate_as_one_does(data, tmp_path):
    done = train(data, tmp_path, 1, "--small_model", "--batch_size", 8, "--crop_seconds", 1,
        "--epochs", 1)
    assert done.returncode == 0, done.stderr
    written = []
    for processes in (1, 2):
        ended = together("utils/evaluate_model.py", processes, "--data_dir", data, "--model",
                         tmp_path / "c/by1/best.onnx", "--output", tmp_path / f"e{processes}",
                         "--replicates", 0)
        assert not any(process.returncode for process in ended), [
            process.stderr for process in ended
        ]
        written.append((tmp_path / f"e{processes}/scores.tsv").read_text().split())
    assert written[0][::2] == written[1][::2]
    assert np.allclose([float(x) for x in written[0][3::2]], [float(x) for x in written[1][3::2]],
                       atol=1e-4)
    assert ended[1].stdout == ""
    assert "all attacks" in ended[0].stdout
    assert not list((tmp_path / "e2").glob(".scores*"))


def test_shares_are_whole_and_nonsense_in_the_environment_is_refused(monkeypatch):
    for count in (0, 1, 7, 24):
        shares = [list(range(count))[Processes(rank, 5).share(count)] for rank in range(5)]
        assert sum(shares, []) == list(range(count))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert place() == (0, 1)
    for rank, size in (("2", "2"), ("x", "2"), ("0", "0")):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", size)
        with pytest.raises(InputError, match="is not a process of"):
            place()


def test_one_process_does_not_load_what_several_need(data):
    code = ("import sys; sys.argv = ['x']; import notebooks.aasist_training, "
            "utils.training.best_model, utils.parallel.join as p;p.join('cpu'); "
            "sys.exit('utils.parallel.by_torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, cwd=ROOT).returncode == 0


def test_dropout_for_the_whole_batch_draws_what_one_process_draws():
    from utils.parallel.by_torch import _WholeBatch
    x = torch.randn(5, 4, 3).transpose(1, 2)
    torch.manual_seed(7)
    whole = torch.nn.functional.dropout(x, 0.4), torch.rand(5, 1), torch.randint(9, (5, 2))
    parts = []
    for own in (slice(0, 2), slice(2, 5)):
        torch.manual_seed(7)
        with _WholeBatch(5, own):
            parts.append((torch.nn.functional.dropout(
                x[own], 0.4), torch.rand(own.stop - own.start,
                                         1), torch.randint(9, (own.stop - own.start, 2))))
    assert all(torch.equal(torch.cat(two), one) for one, *two in zip(whole, *parts, strict=True))


def test_by_force_a_complete_part_of_a_killed_run_is_not_merged(tmp_path, monkeypatch):
    from tests.scripts.test_preprocess_data import as_process, plain_list
    from utils import preprocess_data
    names = [tmp_path / f"{number}.wav" for number in range(8)]

    def write(level: int) -> None:
        for name in names:
            soundfile.write(name, np.full(1600, level, np.int16), 16000)

    def ends(job: str, *options: str) -> None:
        """The second of two processes, run to its end."""
        with monkeypatch.context() as process:
            as_process(process, 1, 2)
            process.setenv("TORCHELASTIC_RUN_ID", job)
            assert preprocess_data.main(["--data_dir",
                                         str(tmp_path), "--subset", "dev", *options]) == 0

    write(100)
    plain_list(tmp_path, names)
    ends("first", "--force")
    ends("first")
    write(200)
    lead = subprocess.Popen(
        [
            sys.executable, "-u", ROOT / "utils/preprocess_data.py", "--data_dir", tmp_path,
            "--subset", "dev", "--force"
        ], stdout=subprocess.PIPE, text=True,
        env=ENVIRONMENT | {"RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "second"})
    assert "part 1 of 2 is decoded" in lead.stdout.readline()
    # it waits for the other process, though an older part is there
    with pytest.raises(subprocess.TimeoutExpired):
        lead.wait(1)
    ends("second", "--force")
    assert "8 utterances" in lead.communicate(timeout=60)[0] and lead.returncode == 0
    store = Store(tmp_path / "processed/dev")
    assert {int(sample) for i in range(8) for sample in store.read(i)} == {200}
    assert store.info["settings"] == {"limit": None, "seed": 0}


def test_too_many_unreadable_in_all_parts_leave_none_of_them(tmp_path, monkeypatch):
    """Neither part has too many by itself; when the files are mended, all are read again."""
    from tests.scripts.test_preprocess_data import as_process, plain_list
    from utils import preprocess_data
    names = [tmp_path / f"{number}.wav" for number in range(20)]
    for name in names:
        soundfile.write(name, np.ones(1600, np.int16), 16000)
    whole = names[0].read_bytes()
    plain_list(tmp_path, names)
    for bad in (names[3], names[13]):
        bad.write_bytes(bytes(len(whole)))

    def both() -> None:
        for rank in (1, 0):
            with monkeypatch.context() as process:
                as_process(process, rank, 2)
                preprocess_data.main(["--data_dir", str(tmp_path), "--subset", "dev"])

    with pytest.raises(InputError, match="2 of the first 20 utterances"):
        both()
    for bad in (names[3], names[13]):
        bad.write_bytes(whole)
    both()
    assert len(Store(tmp_path / "processed/dev")) == 20


def test_a_process_that_failed_is_not_waited_for_for_ever():
    steps = iter(range(10))
    with pytest.raises(InputError, match="the other parts did not arrive for 0 s: another process "
                                         "of this job has failed"):
        wait_for(lambda: False, "the other parts", lambda: next(steps, 10), patience=0.05,
                 every=0.01)
    assert next(steps, None) is None       # as long as something goes on, it waits
    wait_for(lambda: True, "nothing", patience=0)


def test_a_job_has_a_name_where_a_launcher_gives_one(monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "SLURM_STEP_ID", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert job_name() == ""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert job_name() == "none"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert job_name() == f"none {os.getppid()}"


def test_parts_have_names_of_their_own():
    assert part_path(Path("a/train"), 1, 3).as_posix() == "a/train.part-2-of-3"
