"""Whatever bytes it is given, the decoder returns sound or one sentence: no other error, no hang, nothing that is not
sound."""
import faulthandler
import io

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audio_encodings import build
from tests.test_audio_decode import KINDS, clip, zoo  # noqa: F401  (fixtures)
from utils.audio.decode import open_audio
from utils.audio.sources import AudioError

KIND_OF_DAMAGE = st.sampled_from(("flip", "cut", "tail", "zero", "repeat", "splice", "head"))
STEP = st.tuples(KIND_OF_DAMAGE, st.floats(0, 1, exclude_max=True), st.integers(1, 4000), st.sampled_from(KINDS))


def spoil(content: bytes, steps, zoo: dict[str, bytes]) -> bytes:  # noqa: F811
    """`content` after each of `steps`: (what, where as a share of the length, how much, which other file to splice
    in)."""
    data = bytearray(content)
    for what, where, amount, other in steps:
        at = int(where * len(data))
        if what == "head":
            at, what = int(where * min(len(data), 120)), "flip"
        if what == "flip" and data:
            data[at] ^= 1 + amount % 255
        elif what == "cut":
            del data[at:at + amount]
        elif what == "tail":
            del data[at:]
        elif what == "zero":
            data[at:at + amount] = bytes(len(data[at:at + amount]))
        elif what == "repeat":
            data[at:at] = data[at:at + amount]
        elif what == "splice":
            data[at:] = zoo[other][int(where * len(zoo[other])):]
    return bytes(data)


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(kind=st.sampled_from(KINDS), steps=st.lists(STEP, min_size=1, max_size=3))
def test_damaged_files_end_in_sound_or_one_sentence(zoo, capfd, kind, steps):  # noqa: F811
    content = spoil(zoo[kind], steps, zoo)
    faulthandler.dump_traceback_later(60, exit=True)  # a hang in a decoder cannot be interrupted otherwise
    try:
        with open_audio(io.BytesIO(content)) as stream:
            wave = np.concatenate(list(stream))
        assert wave.dtype == np.int16 and len(wave) == stream.info.n_samples > 0
    except AudioError as error:
        assert str(error).isprintable() and len(str(error)) < 300
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert "Traceback" not in capfd.readouterr().err


def test_lossless_files_with_sums_are_never_heard_wrongly(zoo):  # noqa: F811
    """A FLAC whose sound bytes changed is refused, unless exactly the same samples come out."""
    rng = np.random.default_rng(0)
    with open_audio(io.BytesIO(zoo["flac"])) as stream:
        whole = np.concatenate(list(stream))
    for _ in range(60):
        data = bytearray(zoo["flac"])
        data[rng.integers(42, len(data))] ^= 1 << rng.integers(8)
        try:
            with open_audio(io.BytesIO(bytes(data))) as stream:
                assert np.array_equal(np.concatenate(list(stream)), whole)
        except AudioError:
            pass


def test_the_zoo_is_built_alike_each_time(clip):  # noqa: F811
    first, second = build(clip), build(clip)
    assert [name for name in KINDS if len(first[name]) != len(second[name])] == []
