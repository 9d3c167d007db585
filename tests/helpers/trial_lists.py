"""Trial lists as the steps read them."""
from pathlib import Path

from utils.trials.trial_index import TrialIndex
from utils.trials.trial import Trial, trial_list_path


def listed_trials(data_dir: Path, subset: str) -> list[Trial]:
    """All trials of a subset's list."""
    index = TrialIndex(trial_list_path(data_dir, subset))
    return list(index.trials(range(len(index))))
