"""The voices of the default corpus, their Debian packages, and the subset of each voice."""
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Voice:
    """A group of recordings by one person; `pattern` matches their file names in a package.

    `coding` is the coding of the originals ("g722" or "vorbis"). Spoofed clips pass through the
    same coding.
    """
    speaker: str
    gender: str
    language: str
    package: str
    pattern: str
    coding: str
    subset: str


def _asterisk(speaker: str, gender: str, language: str, subset: str) -> Voice:
    # Tones, silences, and single digits and letters are not sentences of speech.
    pattern = r".*/sounds/(?!.*/(silence|digits|letters|phonetic)/)(?!.*(beep|tone)[^/]*$).*\.g722"
    return Voice(speaker, gender, language, f"asterisk-core-sounds-{language}-g722", pattern,
                 "g722", subset)


def _tuxpaint(language: str, subset: str) -> Voice:
    return Voice(f"tux_{language}", "-", language, "tuxpaint-stamps-default",
                 rf".*_desc_{language}\.ogg", "vorbis", subset)


def _fillets(language: str, fish: str, gender: str, subset: str) -> Voice:
    return Voice(f"fil_{language}_{fish}", gender, language, f"fillets-ng-data-{language}",
                 rf".*/[a-z0-9]+-{fish}-[^/]*\.ogg", "vorbis", subset)


# ast_en and ast_es are (or may be) the same reader, so they have one name. The two Dutch fish may
# be one actor: both are in eval. The Czech fish are credited to two people (V. Musil the big one,
# G. Pysna the small one). Every kind of recording (telephone prompts, children's program, game) is
# in every subset.
FULL_VOICES = (
    _asterisk("ast_en_es", "F", "en", "train"), _asterisk("ast_en_es", "F", "es", "train"),
    _asterisk("ast_it", "M", "it", "train"),
    _tuxpaint("be", "train"), _tuxpaint("el", "train"), _tuxpaint("es", "train"),
    _tuxpaint("ro", "train"), _fillets("cs", "v", "M", "train"),
    _asterisk("ast_ru", "F", "ru", "dev"), _tuxpaint("bg", "dev"), _tuxpaint("da", "dev"),
    _fillets("cs", "m", "F", "dev"),
    _asterisk("ast_fr", "F", "fr", "eval"), _tuxpaint("fr", "eval"), _tuxpaint("ru", "eval"),
    _fillets("nl", "m", "-", "eval"), _fillets("nl", "v", "-", "eval"),
)


def _klettres(language: str, subset: str) -> Voice:
    return Voice(f"kle_{language}", "-", language.split("_")[0], "klettres-data",
                 rf".*/klettres/{language}/.*\.ogg", "vorbis", subset)


# KLettres: spoken letters and syllables, one reader per language. Short clips and a small download
# suit a quick trial.
TINY_VOICES = (
    *(_klettres(language, "train") for language in ("ml", "de", "en", "fr", "lt", "he")),
    *(_klettres(language, "dev") for language in ("nds", "uk")),
    *(_klettres(language, "eval") for language in ("hu", "nl", "pt_BR", "tn")),
)

LICENCES = {
    "asterisk-core-sounds-en-g722": "CC-BY-SA-3.0; Allison Smith (theivrvoice.com), Digium, Inc.",
    "asterisk-core-sounds-es-g722": "CC-BY-SA-3.0; Allison Smith (theivrvoice.com), Digium, Inc.",
    "asterisk-core-sounds-fr-g722": "CC-BY-SA-3.0; June Wallack (junewallack.com), Digium, Inc.",
    "asterisk-core-sounds-it-g722": "CC-BY-3.0; Carlo Flora (carloflora.com), "
                                    "segreterietelefoniche.it",
    "asterisk-core-sounds-ru-g722": "CC-BY-3.0; provided by Maxim Topal, ivrvoice.ru",
    "tuxpaint-stamps-default": "GPL-2; Bill Kendrick and the Tux Paint contributors (readers are "
                               "named in its changelog)",
    "fillets-ng-data-cs": "GPL-2; the Fish Fillets project (voices: Vit Musil, Gabriela Pysna and "
                          "others)",
    "fillets-ng-data-nl": "GPL-2; the Fish Fillets project",
    "klettres-data": "GPL-2+; Anne-Marie Mahfouf and the KLettres contributors",
}
