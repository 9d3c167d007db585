"""What the names of folders say: the key, the subset, the attack, the speaker."""
import re
from collections.abc import Iterable, Set

from utils.trials.labels import UNKNOWN, Labels
from utils.trials.releases import KEY_WORDS

FILLERS = frozenset("audio voice speech wav flac sample clip recording file data and".split())
_SUBSETS = {"train": "train training", "dev": "dev development val valid validation",
            "eval": "eval evaluation test testing holdout heldout"}
SUBSET_WORDS = {word: subset for subset, words in _SUBSETS.items() for word in words.split()}
PART_WORDS = frozenset("set subset split part partition".split())
_KNOWN = "|".join(sorted({*KEY_WORDS, *FILLERS, *SUBSET_WORDS, *PART_WORDS}, key=len, reverse=True))
ONE_WORD = re.compile(_KNOWN)
JOINED = re.compile(f"(?:{_KNOWN})+s?")      # such as trainset or realvoices
BONA_FIDE = re.compile(r"bona[\W_]*fide")
DEEP_FAKE = re.compile(r"deep[\W_]*fake")
# In published speech corpora the folder after this one, or after its children, is the speaker.
LIBRI = re.compile(r"(?:train|dev|test)-(?:clean|other)(?:-\d+)?")       # LibriSpeech, LibriTTS
VCTK = re.compile(r"wav(?:16|22|48)\w*")
M_AILABS = re.compile(r"by_book")
# Published corpora of one class, which need no folder of that class around them
WAVEFAKE = re.compile(r"(?:ljspeech|jsut)_(?!ver)\w+|common_voices_prompts\w*", re.IGNORECASE)
PUBLISHED = {"spoof": re.compile(rf"wavefake.*|{WAVEFAKE.pattern}", re.IGNORECASE),
             "bonafide": re.compile(
                 rf"(?:lj-?speech|libri-?speech|libri-?tts(?:[-_]r)?|vctk(?:[-_]corpus)?|"
                 rf"jsut(?:_ver)?|m[-_ ]?ailabs)[-_.\d]*|{LIBRI.pattern}|{M_AILABS.pattern}",
                 re.IGNORECASE)}
# The corpora of one speaker, and how they name their sentences; WaveFake's copies keep the names
SENTENCES = {"LJSpeech": re.compile(r"LJ\d{3}-\d+"), "JSUT": re.compile(r"BASIC5000_\d+")}
ONE_ATTACK = "spoof"     # the attack of files that lie in spoof/ itself


def key_of(name: str) -> str | None:
    """The key that a folder's name says in the usual words, whatever its capitals; else None.

    A subset may stand beside it, as in train_real.
    """
    words = _words(DEEP_FAKE.sub("deepfake", BONA_FIDE.sub("bonafide", name.lower())))
    keys = {KEY_WORDS.get(word) for word in words - FILLERS - SUBSET_WORDS.keys()}
    return keys.pop() if len(keys) == 1 else None


def subsets_of(names: Iterable[str]) -> dict[str, str]:
    """The subsets that the names of neighbouring folders say, as in train, Test_set or 2_val.

    A name with other words counts where its neighbours say another subset: my-train, my-test.
    """
    unsure = {}
    sure = {}
    for name in names:
        words = _words(name.lower())
        said = {SUBSET_WORDS[word] for word in words & SUBSET_WORDS.keys()}
        if len(said) == 1:
            unsure[name], = said
            if words <= SUBSET_WORDS.keys() | KEY_WORDS.keys() | FILLERS | PART_WORDS:
                sure[name] = unsure[name]
    return unsure if len({*unsure.values()}) > 1 else sure


def _words(name: str) -> set[str]:
    """The words of a name in small letters; joined ones that are known are taken apart."""
    words = set()
    for word in re.findall(r"[^\W\d_]+", name):
        words.update(ONE_WORD.findall(word) if JOINED.fullmatch(word) else [word])
    return words


def published_key(name: str) -> str | None:
    """The key of all that lies in a folder called like a published corpus of one class."""
    return next((key for key, names in PUBLISHED.items() if names.fullmatch(name)), None)


def speaker_of(above: tuple[str, ...], home: str = "") -> str | None:
    """The speaker of real speech by the folders it lies in: that of a known corpus, or the first.

    LibriSpeech and LibriTTS: dev-clean/SPEAKER. VCTK: wav48*/SPEAKER. M-AILABS:
    by_book/GENDER/SPEAKER. None where it lies in no folder of `home` but such as wavs or clips.
    """
    path = (home, *above)
    for at, name in enumerate(path):
        for pattern, step in ((LIBRI, 1), (VCTK, 1), (M_AILABS, 2)):
            if pattern.fullmatch(name) and at + step < len(path):
                return path[at + step]
    return next(iter(_telling(above)), None)


def _telling(folders: Iterable[str]) -> list[str]:
    """The folders whose names tell something: all but wavs, clips and the like."""
    return [name for name in folders if name.lower().removesuffix("s") not in FILLERS]


def _sentence(name: str) -> tuple[str | None, str]:
    """The speaker and the sentence that a file's name says, if it is of a corpus in SENTENCES."""
    found = ((voice, match[0]) for voice, names in SENTENCES.items()
             if (match := names.match(name)))
    return next(found, (None, UNKNOWN))


def labels_of(key: str, home: str, path: tuple[str, ...], attack_at: int = 0,
              speakers: Set[str] = frozenset()) -> Labels:
    """The labels of a recording by its path below `home`, a folder of one key.

    A spoof's attack is the folder number `attack_at` of the path, and its speaker the next one.
    A folder called like one of the bona fide `speakers` is that speaker, of an unnamed attack.
    """
    *above, name = path
    voice, source = _sentence(name)
    if key == "bonafide":
        speaker = voice or speaker_of(tuple(above), home) or UNKNOWN
        return Labels(key=key, speaker=speaker, source=source)
    folders = _telling(above)
    folders = folders[attack_at:] or folders
    if not folders or folders[0] in speakers:
        folders = [home if WAVEFAKE.fullmatch(home) else ONE_ATTACK, *folders]
    speaker = folders[1] if len(folders) > 1 else UNKNOWN
    return Labels(key=key, attack=folders[0], speaker=voice or speaker, source=source)
