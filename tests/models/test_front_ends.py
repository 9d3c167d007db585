"""The fixed front ends: equal to their published definitions, and exported as they are."""
import io

import numpy as np
import pytest
import scipy.fft
import scipy.signal
import soundfile
import torch

from models.encoder import mel_filters
from models.front_ends import FRONT_ENDS, LFCC, LogMel, cosine_transform, linear_filters
from tests.helpers.audio.example_speech import EXAMPLES


@pytest.fixture(scope="module")
def speech():
    """(1, 48000) float64: three seconds of real speech."""
    path = EXAMPLES / "real_ljspeech_en.flac"
    return torch.from_numpy(np.resize(soundfile.read(path)[0], 48000))[None]


def baseline_lfcc(wave: np.ndarray) -> np.ndarray:
    """(60, frames) by extract_lfcc.m of the ASVspoof baselines, step by step, in float64 with NumPy
    and SciPy.
    """
    emphasised = scipy.signal.lfilter([1, -0.97], 1, wave)
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, 320)[::160] * np.hamming(320)
    energy = np.abs(np.fft.rfft(frames, 512)) ** 2
    bins, corners = np.linspace(0, 8000, 257), np.linspace(0, 8000, 22)
    filters = [np.interp(bins, corners[k:k + 3], [0, 1, 0]) for k in range(20)]
    static = scipy.fft.dct(np.log10(energy @ np.array(filters).T + np.finfo(float).eps),
                           norm="ortho").T

    def deltas(x):
        return scipy.signal.lfilter([1, 0, -1], 1, np.pad(x, ((0, 0), (1, 1)), "edge"))[:, 2:]
    return np.concatenate([static, deltas(static), deltas(deltas(static))])


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_lfcc_are_those_of_the_asvspoof_baselines(speech, dtype, tolerance):
    ours = LFCC(dtype)(speech.to(dtype))
    assert ours.shape == (1, 60, 299) and ours.dtype == dtype
    assert np.abs(ours[0].double().numpy() - baseline_lfcc(speech[0].numpy())).max() < tolerance


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-5), (torch.float32, 5e-4)])
def test_static_lfcc_are_torchaudios(speech, dtype, tolerance):
    """torchaudio makes its tables in float32, puts a short window in the middle of the frame, and
    counts in decibels.
    """
    torchaudio = pytest.importorskip("torchaudio")
    transform = torchaudio.transforms.LFCC(16000, n_filter=20, n_lfcc=20, speckwargs={
        "n_fft": 512, "win_length": 320, "hop_length": 160, "center": False,
        "window_fn": torch.hamming_window, "wkwargs": {"periodic": False}})
    transform.amplitude_to_DB.top_db = None
    noisy = speech + 1e-3 * torch.from_numpy(np.random.default_rng(0).standard_normal(speech.shape))
    theirs = transform.to(dtype)(torch.nn.functional.pad(noisy.to(dtype), (96, 96))) / 10
    ours = LFCC(dtype).static(noisy.to(dtype))
    assert ours.shape == theirs.shape and (ours - theirs).abs().max() < tolerance


def test_filters_and_cosines_are_torchaudios():
    functional = pytest.importorskip("torchaudio").functional
    assert torch.allclose(linear_filters().float(),
                          functional.linear_fbanks(257, 0, 8000, 20, 16000).T, atol=1e-5)
    assert torch.allclose(cosine_transform(20).float(), functional.create_dct(20, 20, "ortho").T,
                          atol=1e-6)


def test_log_mel_is_the_logarithm_of_mel_energies(speech):
    waves = speech.float()
    energy = torch.stft(waves, 400, 160, window=torch.hann_window(400), center=False,
                        return_complex=True).abs() ** 2
    ours = LogMel()(waves)
    assert ours.shape == (1, 80, 298) and torch.allclose(
        ours, (mel_filters() @ energy).clamp(min=1e-10).log10(), atol=1e-3)


@pytest.mark.parametrize("front_end", FRONT_ENDS.values())
def test_digital_silence_is_finite_and_a_wave_does_not_touch_another(front_end, speech):
    pair = torch.cat([torch.zeros(1, 16000), speech.float()[:, :16000]])
    both = front_end()(pair)
    assert torch.isfinite(both).all() and torch.allclose(both[1:], front_end()(pair[1:]), atol=1e-3)
    assert both.shape[1] == front_end.size


# the older exporter warns that it is the older one, and of fixed shapes
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("front_end", FRONT_ENDS.values())
def test_the_exported_front_end_gives_the_same_features(front_end, speech):
    import onnxruntime
    file, waves = io.BytesIO(), torch.cat([speech, speech.flip(1) / 10]).float()
    torch.onnx.export(front_end(), (torch.zeros(1, 48000),), file, dynamo=False, opset_version=17,
                      input_names=["waves"], dynamic_axes={"waves": {0: "batch"}})
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    assert np.abs(session.run(None, {"waves": waves.numpy()})[0] -
                  front_end()(waves).numpy()).max() < 1e-3
