"""Damaged files of every format for a given number of examples: sound, or one sentence. Runs in a
process of its own.
"""
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

from tests.conftest import ROOT
from tests.robustness.bench.records import Row

LIMIT = 1800    # seconds


def fuzz(examples: int, seed: int, say: Callable[[str], None] = print) -> Row:
    """Let hypothesis damage so many files; a crash or a hang of the decoder ends the process and is
    seen here.
    """
    command = [sys.executable, "-m", "tests.robustness.fuzz", str(examples), str(seed)]
    row = Row("fuzz over every format", f"{examples:,} damaged files")
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT,
                              check=False)
    except subprocess.TimeoutExpired:
        row.wrong.append(f"{row.what}: no end within {LIMIT} s")
        return row
    if done.returncode:
        row.wrong.append(f"{row.what}: exit code {done.returncode}: {done.stderr[-2000:]}")
        return row
    told = json.loads(done.stdout.splitlines()[-1])
    row.how = f"{sum(told['outcomes'].values()):,} damaged files, {told['kinds']} encodings"
    row.outcomes.update(told["outcomes"])
    say(f"{row.what}: {told['outcomes']}")
    return row


def examine(examples: int, seed: int) -> dict:
    """The outcomes of `examples` damaged files; any error but a refusal in one sentence passes
    through.
    """
    from hypothesis import HealthCheck, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st

    from tests.helpers.audio.audio_encodings import build
    from tests.helpers.audio.audio_zoo import example
    from tests.audio.test_fuzz import KINDS, STEP, heard, loss_is_told, spoil
    zoo, outcomes = build(example()), Counter({"refused in one sentence": 0, "heard": 0})

    @seeded(seed)
    @settings(max_examples=examples, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))
    @given(kind=st.sampled_from(KINDS), steps=st.lists(STEP, min_size=1, max_size=3))
    def damage(kind: str, steps: list) -> None:
        content = spoil(zoo[kind], steps, zoo)
        found = heard(content)
        assert not found or loss_is_told(content, found[1]), found
        outcome = "refused in one sentence"
        if found:
            told = found[1].missing or found[1].remarks
            outcome = "heard, and what is missing or odd told" if told else "heard"
        outcomes[outcome] += 1

    damage()
    return {"outcomes": outcomes, "kinds": len(KINDS)}


if __name__ == "__main__":
    print(json.dumps(examine(int(sys.argv[1]), int(sys.argv[2]))))
