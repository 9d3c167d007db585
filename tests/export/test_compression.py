"""The draws of compression: who is judged by, and on what layers are tried."""
from collections import Counter
from types import SimpleNamespace

from utils.export.compression import drawn, drawn_evenly
from utils.trials.labels import Labels


def store(counts: dict[tuple[str, str], int]) -> SimpleNamespace:
    """Rows in order of key and attack, as in a corpus."""
    rows = [SimpleNamespace(labels=Labels(key=key, attack=attack))
            for (key, attack), count in counts.items() for _ in range(count)]
    return SimpleNamespace(rows=rows, info={}, path=None)


FAKES = {("spoof", attack): 90 for attack in ("A1", "A2", "A3")}


def test_channels_are_judged_by_as_many_real_as_faked_utterances():
    part = drawn_evenly(store({("bonafide", "-"): 30} | FAKES), 32, seed=1)
    keys = Counter(row.labels.key for row in part.rows)
    attacks = Counter(row.labels.attack for row in part.rows)
    assert keys == {"bonafide": 16, "spoof": 16}
    assert all(attacks[name] in (5, 6) for name in ("A1", "A2", "A3"))


def test_a_draw_from_a_draw_keeps_the_shares_of_the_classes():
    part = drawn(store({("bonafide", "-"): 90} | FAKES), 32, seed=1)
    few = drawn(part, 8, seed=1)
    assert Counter(row.labels.key for row in few.rows) == {"bonafide": 2, "spoof": 6}
    assert len({row.labels.attack for row in few.rows}) > 2
