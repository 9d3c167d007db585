"""A picture shows the voice that decides."""
import io

import numpy as np
import soundfile

from tests.helpers.audio.example_speech import crops
from tests.helpers.networks.scoring_models import write_small_model
from utils.audio.decode import open_audio
from utils.detector.detector import Detector
from utils.inference.picture import Sketch, of_voice


def flac(wave: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, 16000, format="FLAC")
    return file.getvalue()


def test_the_sketch_is_of_the_voice_that_decides_where_two_channels_follow_one(tmp_path):
    talkers = [crops(key, 1)[0] for key in ("bonafide", "spoof")]
    length = min(map(len, talkers))
    both = np.stack([wave[:length] for wave in talkers], axis=1)
    sketches = []

    def tap(stream):
        sketches.append(Sketch())
        return sketches[-1].tap(stream)

    for stereo in (both, both[:, ::-1]):
        sketches.clear()
        content = flac(talkers[0]) + flac(stereo)
        record = Detector.load(write_small_model(tmp_path)).judge(content, tap)
        names = [voice["voice"] for voice in record["voices"]]
        assert names == ["left channel", "right channel"]
        wanted = Sketch()
        with open_audio(io.BytesIO(content), channels=[names.index(record["voice"])]) as stream:
            list(wanted.tap(stream))
        shown = of_voice(sketches, record)
        assert np.array_equal(shown.low, wanted.low) and np.array_equal(shown.high, wanted.high)
