"""Augmentation: RawBoost equals its published formulae, and every chain keeps its promises on real speech."""
import numpy as np
import pytest
import soundfile
from scipy import signal, stats

from utils.training.augment import NAMES, codecs, make_augmentation, room, timing
from utils.training.augment.rawboost import (ALGORITHMS, add_impulses, add_stationary, band_stop, convolve_nonlinear,
                                             draw_filters, rawboost, white_noise)
from tests.benchmarks.plain_rawboost import plain_lnl, plain_notches, plain_ssi

N_SAMPLES = 64600


@pytest.fixture(scope="module")
def speech(shared):
    path = sorted((shared / "audio" / "picovoice").glob("*.flac"))[1]
    return np.resize(soundfile.read(path, dtype="float32")[0], N_SAMPLES)


def rng(seed=0):
    return np.random.default_rng([seed, 3, 7])


def test_the_notch_filter_is_that_of_firwin():
    for taps, low, high in ((11, 300, 700), (99, 40.5, 1000), (57, 6900, 7999.999), (31, 1e-3, 500)):
        published = signal.firwin(taps, [low, high], window="hamming", fs=16000)
        assert np.allclose(band_stop(taps, low, high), published, atol=1e-12)


def test_a_drawn_filter_has_the_published_gain():
    first, *others = (20 * np.log10(np.abs(signal.freqz(taps, fs=16000)[1]).max()) for taps in draw_filters(rng()))
    assert first == pytest.approx(0, abs=1e-6) and all(-20 - 1e-6 <= gain <= -5 + 1e-6 for gain in others)


def test_convolutive_noise_equals_the_published_formula_on_injected_filters(speech):
    filters = draw_filters(rng(1))
    assert np.abs(convolve_nonlinear(speech, filters) - plain_lnl(speech, filters)).max() < 1e-5


def test_convolutive_noise_equals_the_published_formula_on_a_loud_wave(speech):
    loud, filters = speech / np.abs(speech).max() * 3, draw_filters(rng(2))
    assert np.abs(convolve_nonlinear(loud, filters) - plain_lnl(loud, filters)).max() < 1e-5


def test_stationary_noise_equals_the_published_formula_on_an_injected_filter(speech):
    noise, taps = rng().standard_normal(N_SAMPLES), plain_notches(rng(3), (0, 0))
    assert np.abs(add_stationary(speech, noise, taps, 20) - plain_ssi(speech, noise, taps, 20)).max() < 1e-5


def test_impulses_change_the_given_samples_in_proportion_to_them(speech):
    places, factors = np.array([10, 20000, 64599]), np.array([0.5, -1, 0.1])
    noisy = add_impulses(speech, places, factors)
    untouched = np.delete(np.arange(N_SAMPLES), places)
    assert np.array_equal(noisy[untouched], speech[untouched].astype(np.float64))
    assert np.allclose(noisy[places], speech[places] * (1 + 2 * factors))


def test_the_noise_of_ssi_is_white_and_normal():
    noise = white_noise(500001, rng()).astype(np.float64)
    assert noise.shape == (500001,) and stats.kstest(noise, "norm").pvalue > 1e-3
    assert np.sum(np.abs(noise) > 4) == pytest.approx(31.7, abs=20)
    pairs = [np.corrcoef(wave[:len(wave) - lag], wave[lag:])[0, 1]  # of the wave and of its power
             for wave in (noise, noise ** 2) for lag in (1, 2, 250000, 250001)]
    assert np.abs(pairs).max() < 5 / np.sqrt(250000)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_rawboost_algorithm_changes_the_wave_and_keeps_its_length(speech, algorithm):
    out = rawboost(speech, rng(), algorithm)
    assert out.shape == speech.shape and out.dtype == np.float32 and np.isfinite(out).all()
    assert np.abs(out - speech).max() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_a_chain_depends_on_the_wave_and_the_seed_alone(speech, name):
    chain, again = make_augmentation(name, lambda r: speech), make_augmentation(name, lambda r: speech)
    outs = [chain(speech, rng(k)) for k in range(12)]
    assert all(np.array_equal(out, again(speech, rng(k))) for k, out in reversed(list(enumerate(outs))))
    assert all(out.dtype == np.float32 and out.shape == speech.shape and np.abs(out).max() <= 1 for out in outs)
    distinct = {out.tobytes() for out in outs}
    assert len(distinct) == (1 if name == "none" else 12)


def test_none_leaves_the_wave_as_it_is(speech):
    assert np.array_equal(make_augmentation("none")(speech, rng()), speech)


@pytest.mark.parametrize("name", NAMES)
def test_silence_and_a_short_wave_come_back_whole(name):
    chain = make_augmentation(name)
    for wave in (np.zeros(16000, np.float32), np.full(400, 0.1, np.float32), np.zeros(0, np.float32)):
        for k in range(20):
            out = chain(wave, rng(k))
            assert out.shape == wave.shape and np.isfinite(out).all()


def test_an_unknown_chain_is_refused_with_the_known_names():
    with pytest.raises(ValueError, match="none, speed, rawboost, full"):
        make_augmentation("fulll")


def test_the_description_names_every_step(speech):
    chain = make_augmentation("full", lambda r: speech)
    assert all(step.name in chain.describe() for step in chain.steps)
    assert "babble" in chain.describe() and "babble" not in make_augmentation("full").describe()


def _level(wave):
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))


@pytest.fixture(params=codecs.CODECS)
def codec(request):
    if request.param not in codecs.available():
        pytest.skip(f"this PyAV build has no {request.param} encoder")
    return request.param


def _likeness(wave, other):
    """Correlation of two spectrograms from 200 Hz to 3.2 kHz."""
    bands = [np.abs(signal.stft(one, 16000, nperseg=400)[2][5:80]) for one in (wave, other)]
    return np.corrcoef(bands[0].ravel(), bands[1].ravel())[0, 1]


def test_a_codec_gives_the_same_speech_back_in_place(speech, codec):
    out = codecs.coded(speech, codec, rng())
    assert out.shape == speech.shape and 0.5 < _level(out) / _level(speech) < 1.5
    assert _likeness(speech, out) > 0.85


def test_a_codec_does_not_clip_a_loud_wave(speech, codec):
    loud = speech / np.abs(speech).max() * 4
    assert 2.5 < np.abs(codecs.coded(loud, codec, rng())).max() < 5


@pytest.mark.parametrize("peak", [1, 4])
def test_an_overdriven_wave_does_not_wrap_round_in_a_codec(speech, codec, peak):
    """Its edges overshoot in resampling: AMR's line of 8 kHz is louder than the wave."""
    overdriven = np.clip(speech / np.abs(speech).max() * 20, -1, 1) * peak
    out = codecs.coded(overdriven, codec, rng())
    assert _likeness(overdriven, out) > 0.85 and 0.6 < _level(out) / _level(overdriven) < 1.2


def _share_above(wave, hertz):
    power = np.abs(np.fft.rfft(wave)) ** 2
    return power[int(hertz * len(wave) / 16000):].sum() / power.sum()


def test_the_telephone_passes_300_to_3400_hz(speech):
    out = codecs.telephone(speech, coded=False)
    power = np.abs(np.fft.rfft(out)) ** 2
    inside = slice(int(250 * N_SAMPLES / 16000), int(3700 * N_SAMPLES / 16000))
    assert power[inside].sum() > 0.98 * power.sum()


def test_band_limiting_leaves_nothing_above_half_the_rate(speech):
    assert _share_above(codecs.band_limited(speech, 8000), 4100) < 1e-6


def test_mu_law_keeps_every_sample_within_its_step():
    wave = np.linspace(-1, 1, 10001).astype(np.float32)
    half_step = np.log(256) / 255 * (np.abs(wave) + 1 / 255)
    assert np.all(np.abs(codecs.mu_law(wave) - wave) <= 1.02 * half_step)


def test_noise_comes_at_the_ratio_asked_for(speech):
    noise = room.coloured_noise(N_SAMPLES, rng(), 1)
    added = room.at_snr(speech, noise, 12) - speech
    assert 20 * np.log10(_level(speech) / _level(added)) == pytest.approx(12, abs=1e-3)


def test_pink_noise_falls_by_three_decibels_per_octave():
    power = np.abs(np.fft.rfft(room.coloured_noise(1 << 18, rng(), 1))) ** 2
    octaves = [power[(1 << k):(2 << k)].mean() for k in range(12, 17)]
    assert np.allclose(10 * np.log10(np.array(octaves[:-1]) / octaves[1:]), 3.01, atol=0.5)


def test_a_room_response_falls_by_its_reverberation_time():
    response = room.room_response(rng(), seconds=(0.5, 0.5), direct_db=(0, 0))
    early, late = (_level(response[int(t * 16000):int((t + 0.05) * 16000)]) for t in (0.05, 0.4))
    assert response[0] == 1 and 30 < 20 * np.log10(early / late) < 60  # 42 dB for the slow part, more for the fast


def test_time_stretching_by_one_changes_nothing(speech):
    assert np.abs(timing.stretched(speech, 1.0) - speech).max() < 1e-5


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_time_stretching_changes_the_length_and_neither_level_nor_spectrum(speech, factor):
    out = timing.stretched(speech, factor)
    assert len(out) == int(N_SAMPLES / factor) and 0.85 < _level(out) / _level(speech) < 1.15
    spectra = [signal.welch(wave, 16000, nperseg=512)[1] for wave in (speech, out)]
    assert np.corrcoef(np.log(spectra[0]), np.log(spectra[1]))[0, 1] > 0.98


def test_pitch_shifting_moves_a_harmonic_by_the_interval(speech):
    def pitch(wave):
        lag = signal.correlate(wave[16000:32000], wave[16000:32000], "same", "fft")[8000:]
        return 16000 / (40 + np.argmax(lag[40:230]))
    assert pitch(timing.shift_pitch(speech, 0)) == pytest.approx(pitch(speech), rel=0.02)
    assert _level(timing.shift_pitch(speech, 2)) == pytest.approx(_level(speech), rel=0.2)


def test_edge_silence_is_no_shortcut_after_placement(speech):
    quiet = np.concatenate([np.zeros(16000, np.float32), speech[:N_SAMPLES - 32000], np.zeros(16000, np.float32)])
    core = timing.trimmed(quiet)
    assert len(core) <= N_SAMPLES - 32000 + 640
    assert len({timing.replace(quiet, rng(k)).tobytes() for k in range(5)}) == 5
