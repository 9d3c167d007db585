"""What people really hand over comes out right: one test for each kind of everyday input."""
from functools import cache

import pytest

from tests.robustness.everyday.making.case import WRONG
from tests.robustness.everyday.table import Everyday, cases

# The kinds of recordings. Those of data sets are tested in tests/corpora and tests/report.
KINDS = ("tracks", "pcm in mov", "edit lists", "time", "joined", "stale length", "chained ogg",
         "opus", "formats", "suffixes", "lists")


@cache
def everyday() -> Everyday:
    return Everyday()


@pytest.mark.parametrize("kind", KINDS)
def test_everyday_inputs_come_out_right(kind):
    rows = [everyday().run(case) for case in cases(kind)]
    wrong = [f"{row['input']}: {row['what happened']}" for row in rows if row["outcome"] == WRONG]
    assert len(rows) > 4 and wrong == []
