"""What lies beside the clips: corpus_info.json (what the corpus is, and is not) and ATTRIBUTION.md
(whose work it is)."""
from collections import Counter
from pathlib import Path

from utils.common.provenance import environment
from utils.synthesis.default_corpus.attacks import Attack, notes
from utils.synthesis.default_corpus.leaks import leak_check
from utils.synthesis.default_corpus.plan import Clip
from utils.synthesis.default_corpus.speakers import LICENCES, Voice
from utils.trials.trial import SUBSETS


def _counts(plan: list[Clip], skipped: dict[str, str], subset: str) -> dict:
    clips = [clip for clip in plan if clip.subset == subset and clip.utterance not in skipped]
    return {
        "bonafide": sum(clip.attack == "-" for clip in clips),
        "spoof": sum(clip.attack != "-" for clip in clips), "speakers": dict(
            sorted(Counter(clip.speaker for clip in clips).items())), "attacks": dict(
                sorted(Counter(clip.attack for clip in clips if clip.attack != "-").items()))
    }


def corpus_info(request: dict, corpus: Path, plan: list[Clip], skipped: dict[str, str],
                attacks: list[Attack], absent: dict[str, list[str]]) -> dict:
    """The content of corpus_info.json; the leak check is run here, on the finished clips."""
    speakers = len({clip.speaker for clip in plan})
    return {
        "name": "default corpus", "demo": True, "seed": request["seed"], "request": request,
        "description": f"the embedded demo corpus: {len(plan) - len(skipped)} short clips, real "
        f"speech of {speakers} speakers against {len(attacks)} spoofing systems", "attacks": {
            a.tag: {"name": a.name, "kind": a.kind, "system": a.system, "subsets": list(a.subsets)}
            for a in attacks
        }, "notes": notes(attacks), "unavailable": absent, "subsets": {
            subset: _counts(plan, skipped, subset)
            for subset in SUBSETS
        }, "skipped": skipped, "leak_check": leak_check(corpus), "environment": environment(),
    }


def attribution(voices: tuple[Voice, ...], attacks: list[Attack]) -> str:
    """The text of ATTRIBUTION.md."""
    packages = sorted({voice.package for voice in voices})
    speech = "\n".join(f"| {name} | {LICENCES[name]} | "
                       f"{', '.join(sorted({v.speaker for v in voices if v.package == name}))} |"
                       for name in packages) or ("| the user's own folder | as the user holds it | "
                                                 "one per folder |")
    remarks = "".join(f"\n- {note}" for note in notes(attacks))
    systems = "\n".join(f"| {a.tag} | {a.kind} | {a.system} | {a.licence} | {', '.join(a.subsets)} "
                        "|" for a in attacks)
    return f"""# Attribution of the embedded default corpus

Built on this machine. The clips are derived from the recordings below and keep their licences.
They are cropped, filtered, mixed with noise and coded. Spoofed clips are made from them, or spoken
by the engines below. The texts are captions of Tux Paint (GPL-2) where that package is there, else
sentences of this project. The column "speaker" of a clip spoken from text names the recording whose
room and spectrum it has. It is a demonstration corpus: small, of few speakers, in acted and read
styles.

## Real speech (Debian packages)

| package | licence and people | speakers |
|---|---|---|
{speech}

Full texts: the files `copyright` of these packages. Readers were never asked about this use; use
it for research.

## Spoofing systems

| tag | kind | system | licence | subsets |
|---|---|---|---|---|
{systems}
{remarks}
"""
