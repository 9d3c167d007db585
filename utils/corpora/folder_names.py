"""What the names of folders say: the key, the subset, the speaker."""
import re

_KEYS = {
    "bonafide": "bonafide real genuine human original authentic natural true",
    "spoof": "spoof spoofed fake deepfake synthetic synthesized synthesised ai generated cloned "
             "clone tts converted artificial"}
KEYS = {word: key for key, words in _KEYS.items() for word in words.split()}
FILLERS = frozenset("audio voice speech wav flac sample clip recording file data and".split())
_SUBSETS = {"train": "train training", "dev": "dev development val valid validation",
            "eval": "eval evaluation test testing"}
SUBSET_WORDS = {word: subset for subset, words in _SUBSETS.items() for word in words.split()}
BONA_FIDE = re.compile(r"bona[\W_]*fide")
DEEP_FAKE = re.compile(r"deep[\W_]*fake")
# In published speech corpora the folder after this one, or after its children, is the speaker.
LIBRI = re.compile(r"(?:train|dev|test)-(?:clean|other)(?:-\d+)?")       # LibriSpeech, LibriTTS
VCTK = re.compile(r"wav(?:16|22|48)\w*")
M_AILABS = re.compile(r"by_book")


def key_of(name: str) -> str | None:
    """The key that a folder's name says in the usual words, whatever its capitals; else None."""
    plain = DEEP_FAKE.sub("deepfake", BONA_FIDE.sub("bonafide", name.lower()))
    words = {word if word in KEYS else word.removesuffix("s")
             for word in re.findall(r"[^\W\d_]+", plain)}
    keys = {KEYS.get(word) for word in words - FILLERS}
    return keys.pop() if len(keys) == 1 else None


def subset_of(name: str) -> str | None:
    """The subset that a folder's name says: train, dev or eval; else None."""
    return SUBSET_WORDS.get(name.lower())


def speaker_of(above: tuple[str, ...]) -> str | None:
    """The speaker of real speech by the folders it lies in: that of a known corpus, or the first.

    LibriSpeech and LibriTTS: dev-clean/SPEAKER. VCTK: wav48*/SPEAKER. M-AILABS:
    by_book/GENDER/SPEAKER. None where it lies in no folder.
    """
    for at, name in enumerate(above):
        for pattern, step in ((LIBRI, 1), (VCTK, 1), (M_AILABS, 2)):
            if pattern.fullmatch(name) and at + step < len(above):
                return above[at + step]
    return above[0] if above else None
