"""Groups of utterances that a split never parts: those of a speaker, a source, a recording."""
from collections.abc import Iterable

from utils.trials.labels import UNKNOWN
from utils.trials.trial import SUBSETS, Trial

Groups = dict[str, str]          # of each utterance: its group


def one_speaker(trials: Iterable[Trial]) -> str | None:
    """The speaker of all real speech, if it has only one: nobody can be kept apart from others."""
    speakers = {trial.labels.speaker for trial in trials if trial.labels.is_bonafide}
    return speakers.pop() if len(speakers) == 1 and UNKNOWN not in speakers else None


def groups_of(trials: list[Trial], unit: str, alike: Iterable[list[Trial]]) -> Groups:
    """The group of each utterance: its speaker or its source, or itself where that is unknown.

    Groups that share a recording, as `alike` says, are one. If all real speech is of one speaker,
    its sources count, or each utterance where there are too few.
    """
    if unit == "speaker" and one_speaker(trials):
        sources = {trial.labels.source for trial in trials if trial.labels.is_bonafide}
        unit = "source" if len(sources) >= len(SUBSETS) else None
    groups = {trial.utterance: _group(trial, unit) for trial in trials}
    joined: dict[str, str] = {}      # a group, and one that it belongs to
    for first, *copies in alike:
        for copy in copies:
            roots = {_root(joined, groups[trial.utterance]) for trial in (first, copy)}
            joined |= dict.fromkeys(roots - {min(roots)}, min(roots))
    return {utterance: _root(joined, group) for utterance, group in groups.items()}


def _root(joined: dict[str, str], group: str) -> str:
    while group in joined:
        group = joined[group]
    return group


def _group(trial: Trial, unit: str | None) -> str:
    name = getattr(trial.labels, unit) if unit else UNKNOWN
    return f"utterance {trial.utterance}" if name == UNKNOWN else f"{unit} {name}"
