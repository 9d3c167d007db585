"""The corpora that are known, and which of them in data/raw is used."""
from pathlib import Path

from utils.common.errors import InputError
from utils.corpora import default, folders, published
from utils.corpora.asvspoof import asvspoof5, asvspoof2019, asvspoof2021
from utils.corpora.tree import listed_once
from utils.corpora.unrecognised import leftover

# in the order in which "auto" prefers them
CORPORA = {
    "asvspoof5": asvspoof5,
    "asvspoof2021_la": asvspoof2021.LA,
    "asvspoof2021_df": asvspoof2021.DF,
    "asvspoof2021_pa": asvspoof2021.PA,
    "asvspoof2019": asvspoof2019.LA,
    "asvspoof2019_pa": asvspoof2019.PA,
    "in_the_wild": published.IN_THE_WILD,
    "decro": published.DECRO,
    "spoofceleb": published.SPOOFCELEB,
    "codecfake": published.CODECFAKE,
    "folders": folders,
    "default": default,
}
MANY = 10      # recordings beside a corpus, from which on they look like a set of the user's


def choose(raw_dir: Path, wanted: str) -> str:
    """The name of the corpus to use; "auto" prints what else data/raw holds.

    `InputError` where "auto" would leave out recordings or archives of the user's.
    """
    with listed_once():
        found = {name: there for name, corpus in CORPORA.items()
                 if corpus is not default and (there := corpus.is_there(raw_dir))}
        left = leftover(raw_dir, [path for there in found.values() for path in there])
    chosen = wanted if wanted != "auto" else next(iter(found), "default")
    others = [name for name in found if name != chosen]
    if others and wanted == "auto":
        print(f"{raw_dir} also holds {', '.join(others)}: choose with --corpus")
    if wanted == "auto" and left and not found:
        raise InputError(f"no dataset was recognised in {raw_dir}, but it holds {left}. "
                         f"{left.advice} To use the default corpus instead, add --corpus default")
    if wanted == "auto" and left.sounds.total() >= MANY:
        raise InputError(f"{raw_dir} holds {chosen}, and also {left}, which would not be used. "
                         f"{left.advice} To leave them out, add --corpus {chosen}")
    if left and chosen != "default":
        print(f"left out, since their layout is not known: {left}")
    if wanted == "auto" and chosen == "default":
        how = "it exists already" if default.is_there(raw_dir) else \
            "building it takes some minutes and downloads 290 MB; Ctrl-C stops it"
        print(f"no other dataset in {raw_dir}: using the default corpus ({how})")
    return chosen
