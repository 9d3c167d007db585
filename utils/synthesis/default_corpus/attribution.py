"""The files beside the clips: corpus_info.json (content, limits) and ATTRIBUTION.md (authors)."""
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
    speakers = Counter(clip.speaker for clip in clips)
    attacks = Counter(clip.attack for clip in clips if clip.attack != "-")
    return {
        "bonafide": sum(clip.attack == "-" for clip in clips),
        "spoof": sum(clip.attack != "-" for clip in clips),
        "speakers": dict(sorted(speakers.items())), "attacks": dict(sorted(attacks.items())),
    }


def corpus_info(request: dict, corpus: Path, plan: list[Clip], skipped: dict[str, str],
                attacks: list[Attack], absent: dict[str, list[str]]) -> dict:
    """The content of corpus_info.json, with a leak check of the finished clips."""
    speakers = len({clip.speaker for clip in plan})
    return {
        "name": "default corpus", "demo": True, "seed": request["seed"], "request": request,
        "description": f"the embedded demo corpus: {len(plan) - len(skipped)} short clips, real "
                       f"speech of {speakers} speakers against {len(attacks)} spoofing systems",
        "attacks": {a.tag: {"name": a.name, "kind": a.kind, "system": a.system,
                            "subsets": list(a.subsets)} for a in attacks},
        "notes": notes(attacks), "unavailable": absent,
        "subsets": {subset: _counts(plan, skipped, subset) for subset in SUBSETS},
        "skipped": skipped, "leak_check": leak_check(corpus), "environment": environment(),
    }


def attribution(voices: tuple[Voice, ...], attacks: list[Attack]) -> str:
    """The text of ATTRIBUTION.md."""
    packages = sorted({voice.package for voice in voices})
    speech = "\n".join(f"| {name} | {LICENCES[name]} | "
                       f"{', '.join(sorted({v.speaker for v in voices if v.package == name}))} |"
                       for name in packages)
    speech = speech or "| the user's own folder | the user's own licence | one per folder |"
    remarks = "".join(f"\n- {note}" for note in notes(attacks))
    systems = "\n".join(
        f"| {a.tag} | {a.kind} | {a.system} | {a.licence} | {', '.join(a.subsets)} |"
        for a in attacks)
    return f"""# Attribution of the embedded default corpus

Built on this machine. The clips are derived from the recordings below and keep their licences.
They are cropped, filtered, mixed with noise and coded. Spoofed clips are made from them, or spoken
by the engines below. The texts are captions of Tux Paint (GPL-2) if that package is used, else
sentences of this project. For a clip spoken from text, the column "speaker" names the recording
that lent its room and spectrum. It is a demonstration corpus: small, with few speakers, acted or
read.

## Real speech (Debian packages)

| package | licence and people | speakers |
|---|---|---|
{speech}

Full texts: the files `copyright` of these packages. Nobody asked the readers about this use; use
it for research only.

## Spoofing systems

| tag | kind | system | licence | subsets |
|---|---|---|---|---|
{systems}
{remarks}
"""
