"""The training data: stores, cut to `--max_samples`, and seeded crops of their utterances."""
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from utils.common.errors import InputError
from utils.common.files import atomic_write
from utils.common.text import counted
from utils.detector.scoring import waveform
from utils.signals.front import front_stage
from utils.signals.wave_files import pcm_file
from utils.signals.windows import tile
from utils.store.reader import Store, StoredTrial, StorePart
from utils.training.augment import Augmentation, make_augmentation
from utils.trials.draws import draw_nested


def open_part(data_dir: Path, subset: str, max_samples: int | None, seed: int) -> StorePart:
    """The store of a subset, cut to `max_samples` by key and attack.

    Raises `InputError` if a class is missing.
    """
    store = Store(data_dir / "processed" / subset)
    groups = [(row.labels.key, row.labels.attack) for row in store.rows]
    part = StorePart(store, draw_nested(groups, max_samples, seed))
    keys = {row.labels.key for row in part.rows}
    if len(keys) < 2:
        raise InputError(f"the {subset} subset in {data_dir / 'processed'} holds only "
                         f"{' and '.join(keys) or 'no'} utterances, but training needs both "
                         "classes: preprocess more of it")
    return part


def identity(part: StorePart) -> dict:
    """What identifies the data of a store: its trial list, its settings, its size."""
    return {"trial_list_sha256": part.info["trial_list_sha256"],
            "settings": part.info["settings"], "utterances": len(part)}


def attacks_of(part: StorePart) -> list[str]:
    """The attacks of a store, sorted."""
    return sorted({row.labels.attack for row in part.rows} - {"-"})


def numbers_of(rows: Sequence[StoredTrial]) -> Tensor:
    """A number for each utterance, int64 (N,), of its name and length: the start of a checksum."""
    names = (f"{row.utterance}\t{row.n_samples}".encode("utf-8", "surrogatepass") for row in rows)
    sums = b"".join(hashlib.sha256(name).digest()[:8] for name in names)
    return torch.from_numpy(np.frombuffer(sums, "<i8").copy())


def met(train: StorePart, dev: StorePart, before: dict) -> dict:
    """What a run has met: numbers of the utterances and names of the attacks, by subset.

    `before`: the same of its earlier epochs, which may have had other data; or empty.
    """
    found = {subset: {"utterances": numbers_of(part.rows).unique(), "attacks": attacks_of(part)}
             for subset, part in (("train", train), ("dev", dev))}
    for subset, earlier in before.items():
        own = found[subset]
        own["utterances"] = torch.cat([own["utterances"], earlier["utterances"]]).unique()
        own["attacks"] = sorted({*own["attacks"], *earlier["attacks"]})
    return found


def check_not_met(part: Store | StorePart, subset: str, others: dict[str, StorePart],
                  before: dict) -> None:
    """Refuse a subset with utterances that earlier epochs had in one of `others`.

    `before`: as from `met`. Of `others` as they are now, a namesake is another recording: prepare
    keeps subsets apart. Raises `InputError`.
    """
    for earlier, now in others.items():
        numbers = numbers_of(part.rows)
        again = (torch.isin(numbers, before[earlier]["utterances"])
                 & ~torch.isin(numbers, numbers_of(now.rows)))
        if again.any():
            example = part.rows[int(again.nonzero()[0])].utterance
            raise InputError(
                f"{subset} holds {counted(int(again.sum()), 'utterance')} that this run had in "
                f"{earlier} before, such as {example}: figures would look better than they are. "
                "Subsets that prepare_dataset.py cuts change where recordings are added. Train "
                "anew under another --run_name, or keep folders train, dev and eval of your own")


TURNS = ("speed", "full")       # clean crops and changed ones


class CropDataset(Dataset):
    """Augmented crops of a store, after the same front stage as in scoring.

    Item (epoch, index) is a wave float32 (n_samples,), a label, 1 for bona fide, 0 for spoof, and
    for each of `changes` the same crop, changed once more by the augmentation of that name.
    The start of a crop and its augmentation depend on seed, epoch and utterance alone, not on the
    order or the number of workers.
    """

    def __init__(self, store: Store | StorePart, n_samples: int, seed: int, augment: str = "none",
                 changes: tuple[str, ...] = ()):
        self.store = store
        self.n_samples = n_samples
        self.seed = seed
        self.augment = augment
        self.changes = changes
        self.bonafide = np.flatnonzero([row.labels.is_bonafide for row in store.rows])

    def __getitem__(self, item: tuple[int, int]) -> tuple:
        epoch, index = item
        rng = np.random.default_rng([self.seed, epoch, index])
        crop = waveform(self.crop(index, self._start(rng, index)))
        wave = self.augmentation(index, self.named(epoch))(crop, rng)
        changed = [self.augmentation(index, name)(wave, rng) for name in self.changes]
        found, *copies = (torch.from_numpy(front_stage(one)) for one in (wave, *changed))
        return found, int(self.store.rows[index].labels.is_bonafide), *copies

    def start(self, epoch: int, index: int) -> int:
        """The first sample of the crop of item (epoch, index)."""
        return self._start(np.random.default_rng([self.seed, epoch, index]), index)

    def named(self, epoch: int) -> str:
        """The augmentation of an epoch: `TURNS` take turns."""
        return TURNS[epoch % len(TURNS)] if self.augment == "turns" else self.augment

    def _start(self, rng: np.random.Generator, index: int) -> int:
        return int(rng.integers(max(1, self.store.rows[index].n_samples - self.n_samples + 1)))

    def crop(self, index: int, start: int) -> np.ndarray:
        """int16 (n_samples,) of an utterance from `start` on, repeated if it is shorter."""
        count = min(self.n_samples, self.store.rows[index].n_samples - start)
        return tile(self.store.read(index, start, count), self.n_samples)

    def augmentation(self, index: int, name: str) -> Augmentation:
        """The augmentation `name` of an utterance.

        Its babble comes from other bona fide utterances, so real speech never gets spoofed speech.
        """
        others = len(self.bonafide) - self.store.rows[index].labels.is_bonafide
        talker = functools.partial(self._other_than, index, others) if others else None
        return make_augmentation(name, talker)

    def _other_than(self, index: int, others: int, rng: np.random.Generator) -> np.ndarray:
        """The start of one of the `others`, the bona fide utterances besides `index`."""
        number = int(rng.integers(others))
        if others < len(self.bonafide) and self.bonafide[number] >= index:
            number += 1
        return waveform(self.store.read(int(self.bonafide[number]), 0, self.n_samples))


def write_examples(folder: Path, store: Store, seed: int) -> None:
    """One utterance of each class as a WAV file to try the detector on, drawn at random."""
    rng = np.random.default_rng([seed, 0xE8A])
    for key in ("bonafide", "spoof"):
        index = int(rng.choice([i for i, row in enumerate(store.rows) if row.labels.key == key]))
        with atomic_write(folder / f"{key}.wav", "wb") as file:
            file.write(pcm_file(store.read(index), "WAV"))
