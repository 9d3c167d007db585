"""The leak check: can simple features other than the synthesis separate the classes?

For each feature, a logistic regression is trained on the train subset and scored on eval, which has
other speakers. An equal error rate of 50 % means that the feature says nothing.
"""
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from utils.signals.levels import active_rms, active_span, frame_levels
from utils.signals.spectra import stft

BANDS = 24


def _duration(samples: np.ndarray) -> np.ndarray:
    return np.array([len(samples) / 16000, np.log(len(samples))])


def _level(samples: np.ndarray) -> np.ndarray:
    return np.array(
        [20 * np.log10(np.std(samples) + 1e-9), 20 * np.log10(np.abs(samples).max() + 1e-9)])


def _crest(samples: np.ndarray) -> np.ndarray:
    return np.array([20 * np.log10(np.abs(samples).max() / (active_rms(samples) + 1e-9) + 1e-9)])


def _silence(samples: np.ndarray) -> np.ndarray:
    levels = frame_levels(samples)
    first, last = active_span(samples)
    top = np.percentile(levels, 95)
    return np.array([first, len(samples) - last, np.mean(levels < top - 35) * 16000,
                     400 * (np.percentile(levels, 5) - top)]) / 16000


def _band_levels(samples: np.ndarray) -> np.ndarray:
    powers = np.abs(stft(samples, 512, 256)) ** 2
    edges = np.unique(np.round(np.geomspace(2, 256, BANDS + 1)).astype(int))
    return 10 * np.log10(
        np.stack([powers[:, a:b].mean(axis=1) for a, b in zip(edges, edges[1:])], axis=1) + 1e-10)


def _spectrum(samples: np.ndarray) -> np.ndarray:
    levels = _band_levels(samples).mean(axis=0)
    return levels - levels.mean()


def _spectrum_spread(samples: np.ndarray) -> np.ndarray:
    return _band_levels(samples).std(axis=0)


FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "duration": _duration, "level": _level, "crest factor": _crest, "silence": _silence,
    "long-term spectrum": _spectrum, "spectral spread": _spectrum_spread,
}


def read_protocol(path: Path) -> list[list[str]]:
    """The rows of an ASVspoof5 protocol file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=" "))


def _features(folder: Path, rows: list[list[str]]) -> dict[str, np.ndarray]:
    table: dict[str, list[np.ndarray]] = {name: [] for name in FEATURES}
    for row in rows:
        samples, _ = soundfile.read(str(folder / f"{row[1]}.flac"), dtype="float64")
        for name, feature in FEATURES.items():
            table[name].append(feature(samples))
    return {name: np.array(values) for name, values in table.items()}


def _eer(scores: np.ndarray, spoofed: np.ndarray) -> float:
    """Equal error rate of scores that are higher for spoofs."""
    from sklearn.metrics import roc_curve
    false_alarms, hits, _ = roc_curve(spoofed, scores)
    best = int(np.argmin(np.abs(false_alarms - (1 - hits))))
    return float((false_alarms[best] + 1 - hits[best]) / 2)


def leak_check(corpus: Path) -> dict[str, dict[str, float]]:
    """The eval EER (a fraction) of each feature.

    Its keys are "all" for all attacks, "seen" for those of train, and each attack's tag.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    train, test = (read_protocol(corpus / name)
                   for name in ("ASVspoof5.train.tsv", "ASVspoof5.eval.track_1.tsv"))
    train_features = _features(corpus / "flac_T", train)
    test_features = _features(corpus / "flac_E_eval", test)
    labels, truth = (np.array([row[8] == "spoof" for row in rows]) for rows in (train, test))
    attacks = np.array([row[7] for row in test])
    seen = sorted({row[7] for row in train} - {"bonafide"})
    figures = {}
    for name in FEATURES:
        model = make_pipeline(StandardScaler(),
                              LogisticRegression(max_iter=2000, class_weight="balanced"))
        scores = model.fit(train_features[name], labels).decision_function(test_features[name])
        groups = {"all": truth, "seen": np.isin(attacks, seen),
                  **{tag: attacks == tag for tag in sorted(set(attacks[truth]))}}
        figures[name] = {group: round(_eer(scores[~truth | chosen], truth[~truth | chosen]), 4)
                         for group, chosen in groups.items()}
    return figures
