"""The default corpus: built where data/raw holds no dataset, then read in ASVspoof5's layout."""
from dataclasses import replace
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import read_json
from utils.corpora.asvspoof import asvspoof5
from utils.corpora.corpus import Corpus, Request
from utils.corpora.tree import DEFAULT_CORPUS

GROUPS = ("all", "seen")     # of the leak check; its other groups are single attacks


def is_there(raw_dir: Path) -> list[Path]:
    """The folder of the default corpus in data/raw, if it was built to its end."""
    folder = raw_dir / DEFAULT_CORPUS
    return [folder] if (folder / "corpus_info.json").is_file() else []


def find(request: Request) -> Corpus:
    """The default corpus in data/raw/default_corpus, built or completed by `request.build`.

    `InputError` where its files are incomplete.
    """
    request.build(request.raw_dir)
    folder = request.raw_dir / DEFAULT_CORPUS
    info = read_json(folder / "corpus_info.json")
    located = asvspoof5.locate([folder])
    if not located.parts() or set(located.parts()) - set(located.tables):
        raise InputError(f"{folder} is incomplete: delete it and run "
                         "python utils/prepare_dataset.py again")
    print(describe_leaks(info["leak_check"]))
    corpus = asvspoof5.build(request, located)
    return replace(corpus, name="default corpus", layout="default", demo=bool(info["demo"]),
                   description=info["description"], found=f"{DEFAULT_CORPUS} ({corpus.found})",
                   details={"seed": info["seed"], "attack_systems": info["attacks"]})


def describe_leaks(check: dict[str, dict[str, float]]) -> str:
    """The leak check as text, one line per feature: how well it alone separates the classes.

    Three figures: over all attacks of eval, over those of train, and the attack it separates best.
    """
    lines = ["leak check: EER in % of a linear classifier on one plain feature, "
             "on speakers it has not heard (50: no leak)"]
    width = max(map(len, check), default=0)
    for feature, groups in check.items():
        worst = min((group for group in groups if group not in GROUPS), key=groups.__getitem__)
        every, seen, least = (f"{100 * groups[group]:3.0f}" for group in (*GROUPS, worst))
        lines.append(f"  {feature:<{width}}  all attacks {every}  seen {seen}  "
                     f"worst {least} ({worst})")
    return "\n".join(lines)
