"""Augmentation: RawBoost equals its published formulae, and every chain keeps its promises on real
speech."""
import numpy as np
import pytest
import soundfile
from scipy import signal, stats

from tests.benchmarks.plain.rawboost import (plain_combination, plain_isd, plain_lnl, plain_notches,
                                             plain_ssi)
from tests.helpers.audio.example_speech import EXAMPLES
from utils.signals import codecs, rooms, time_and_pitch
from utils.signals.levels import add_at_snr
from utils.training.augment import NAMES, make_augmentation, placed
from utils.training.augment.rawboost import (ALGORITHMS, add_impulses, add_stationary, band_stop,
                                             convolve_nonlinear, draw, draw_filters, rawboost,
                                             white_noise)

N_SAMPLES = 64600


@pytest.fixture(scope="module")
def speech():
    path = EXAMPLES / "real_ljspeech_en.flac"
    return np.resize(soundfile.read(path, dtype="float32")[0], N_SAMPLES)


def rng(seed=0):
    return np.random.default_rng([seed, 3, 7])


def test_the_notch_filter_is_that_of_firwin():
    for taps, low, high in ((11, 300, 700), (99, 40.5, 1000), (57, 6900, 7999.999), (31, 1e-3,
                                                                                     500)):
        published = signal.firwin(taps, [low, high], window="hamming", fs=16000)
        assert np.allclose(band_stop(taps, low, high), published, atol=1e-12)


def test_a_drawn_filter_has_the_published_gain():
    first, *others = (20 * np.log10(np.abs(signal.freqz(taps, fs=16000)[1]).max())
                      for taps in draw_filters(rng()))
    assert first == pytest.approx(0, abs=1e-6)
    assert all(-20 - 1e-6 <= gain <= -5 + 1e-6 for gain in others)


def test_convolutive_noise_equals_the_published_formula_on_injected_filters(speech):
    filters = draw_filters(rng(1))
    assert np.abs(convolve_nonlinear(speech, filters) - plain_lnl(speech, filters)).max() < 1e-5


def test_convolutive_noise_equals_the_published_formula_on_a_loud_wave(speech):
    loud, filters = speech / np.abs(speech).max() * 3, draw_filters(rng(2))
    assert np.abs(convolve_nonlinear(loud, filters) - plain_lnl(loud, filters)).max() < 1e-5


def test_stationary_noise_equals_the_published_formula_on_an_injected_filter(speech):
    noise, taps = rng().standard_normal(N_SAMPLES), plain_notches(rng(3), (0, 0))
    assert np.abs(add_stationary(speech, noise, taps, 20)
                  - plain_ssi(speech, noise, taps, 20)).max() < 1e-5


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


@pytest.mark.parametrize("peak", [0.9, 3])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_rawboost_algorithm_equals_the_published_combination_on_injected_draws(
        speech, algorithm, peak):
    wave, again = speech / np.abs(speech).max() * peak, rng(4)
    drawn = {name: draw(name, N_SAMPLES, again) for name in ALGORITHMS[algorithm]}
    out = rawboost(wave, rng(4), algorithm)
    published = plain_combination(wave, algorithm, lambda w: plain_lnl(w, *drawn["lnl"]),
                                  lambda w: plain_isd(w, *drawn["isd"][:2]),
                                  lambda w: plain_ssi(w, *drawn["ssi"]))
    assert out.shape == wave.shape and out.dtype == np.float32
    assert np.abs(out - published).max() < 1e-5 < 1e-3 < np.abs(out - wave).max()


def test_impulses_hit_up_to_a_tenth_of_the_samples_each_once_and_anywhere():
    draws = [draw("isd", 10000, rng(k)) for k in range(400)]
    counts = np.array([len(places) for places, *_ in draws])
    places = np.concatenate([places for places, *_ in draws])
    assert all(
        len(set(places.tolist())) == len(places) == len(factors) for places, factors, _ in draws)
    assert stats.kstest(counts, "uniform", (0, 1000)).pvalue > 1e-3
    assert stats.kstest(places, "uniform", (0, 10000)).pvalue > 1e-3
    factors = np.concatenate([factors for _, factors, _ in draws])   # products of two uniform ones
    assert np.abs(factors).max() <= 1
    assert factors.std() == pytest.approx(1 / 3, rel=0.01)
    assert abs(factors.mean()) < 0.005


@pytest.mark.parametrize("name", NAMES)
def test_a_chain_depends_on_the_wave_and_the_seed_alone(speech, name):
    chain = make_augmentation(name, lambda r: speech)
    again = make_augmentation(name, lambda r: speech)
    outs = [chain(speech, rng(k)) for k in range(12)]
    assert all(
        np.array_equal(out, again(speech, rng(k))) for k, out in reversed(list(enumerate(outs))))
    assert all(out.dtype == np.float32 and out.shape == speech.shape and np.abs(out).max() <= 1
               for out in outs)
    distinct = {out.tobytes() for out in outs}
    # a telephone line draws nothing
    assert len(distinct) in {"none": {1}, "channel": range(7, 13)}.get(name, {12})


def test_none_leaves_the_wave_as_it_is(speech):
    assert np.array_equal(make_augmentation("none")(speech, rng()), speech)


@pytest.mark.parametrize("name", NAMES)
def test_silence_and_a_short_wave_come_back_whole(name):
    chain = make_augmentation(name)
    for wave in (np.zeros(16000), np.full(400, 0.1, np.float32), np.zeros(0)):
        for k in range(20):
            out = chain(wave, rng(k))
            assert out.shape == wave.shape and out.dtype == np.float32 and np.isfinite(out).all()


def test_level_only_scales_a_wave_and_rounds_it_to_16_bits(speech):
    outs = [make_augmentation("level")(speech, rng(k)) for k in range(40)]
    gains = np.array([20 * np.log10(np.dot(out, speech) / np.dot(speech, speech)) for out in outs])
    assert gains.max() < 0.01 and gains.min() < -35 and gains.max() > -6
    for out, gain in zip(outs, gains):
        assert np.array_equal(out * 32768, np.rint(out * 32768))
        assert np.abs(out - speech * 10 ** (gain / 20)).max() < 1e-4


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
    noise = rooms.coloured_noise(N_SAMPLES, rng(), 1)
    added = add_at_snr(speech, noise, 12) - speech
    assert 20 * np.log10(_level(speech) / _level(added)) == pytest.approx(12, abs=1e-3)


def test_pink_noise_falls_by_three_decibels_per_octave():
    power = np.abs(np.fft.rfft(rooms.coloured_noise(1 << 18, rng(), 1))) ** 2
    octaves = [power[(1 << k):(2 << k)].mean() for k in range(12, 17)]
    assert np.allclose(10 * np.log10(np.array(octaves[:-1]) / octaves[1:]), 3.01, atol=0.5)


def test_a_room_response_falls_by_its_reverberation_time():
    response = rooms.room_response(rng(), seconds=(0.5, 0.5), direct_db=(0, 0))
    early, late = (_level(response[int(t * 16000):int((t + 0.05) * 16000)]) for t in (0.05, 0.4))
    # 42 dB for the slow part, more for the fast
    assert response[0] == 1
    assert 30 < 20 * np.log10(early / late) < 60


def test_time_stretching_by_one_changes_nothing(speech):
    assert np.abs(time_and_pitch.stretch(speech, 1.0) - speech).max() < 1e-5


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_time_stretching_changes_the_length_and_neither_level_nor_spectrum(speech, factor):
    out = time_and_pitch.stretch(speech, factor)
    assert len(out) == int(N_SAMPLES / factor) and 0.85 < _level(out) / _level(speech) < 1.15
    spectra = [signal.welch(wave, 16000, nperseg=512)[1] for wave in (speech, out)]
    assert np.corrcoef(np.log(spectra[0]), np.log(spectra[1]))[0, 1] > 0.98


def _tone_burst(hertz, centre=32000):
    """A tone that swells and fades within half a second."""
    time = np.arange(N_SAMPLES) - centre
    return np.sin(2 * np.pi * hertz * time / 16000) * np.exp(-(time / 4000) ** 2)


def _frequency(wave):
    """Of the strongest partial, in Hz, to within 0.1."""
    size = 1 << 18
    return np.argmax(np.abs(np.fft.rfft(wave * signal.windows.hann(len(wave)),
                                        size))) * 16000 / size


def _centre(wave):
    power = np.square(wave, dtype=np.float64)
    return np.dot(power, np.arange(len(wave))) / power.sum()


@pytest.mark.parametrize("semitones", [-7, -2, -0.5, 0, 1, 2, 7])
@pytest.mark.parametrize("hertz", [200, 1500])
def test_pitch_shifting_moves_a_tone_by_the_interval_and_not_in_time(hertz, semitones):
    out = time_and_pitch.shift_pitch(_tone_burst(hertz), semitones)
    assert len(out) == N_SAMPLES
    assert _frequency(out) == pytest.approx(hertz * 2 ** (semitones / 12), rel=0.003)
    assert _centre(out) == pytest.approx(32000, abs=320)


def test_pitch_shifting_keeps_the_level_of_speech(speech):
    assert all(
        _level(time_and_pitch.shift_pitch(speech, k)) == pytest.approx(_level(speech), rel=0.2)
        for k in (-2, 2))


@pytest.mark.parametrize("factor", [0.88, 1.12])
def test_speed_moves_pitch_and_time_and_tempo_time_alone(factor):
    tone = _tone_burst(500, centre=20000)
    faster = time_and_pitch.change_speed(tone, factor)
    sooner = time_and_pitch.change_tempo(tone, factor)
    assert _frequency(faster) == pytest.approx(500 * factor, rel=0.003)
    assert _frequency(sooner) == pytest.approx(500, rel=0.003)
    firsts = [wave[:45000] for wave in (faster, sooner)]    # before it comes again
    assert [_centre(wave) for wave in firsts] == pytest.approx([20000 / factor] * 2, abs=320)


def _longest_silence(wave):
    """Samples in a row 50 dB below the peak, at the edges or between."""
    loud = np.flatnonzero(np.abs(wave) > np.abs(wave).max() / 316)
    return int(np.diff([-1, *loud, len(wave)]).max()) - 1


def test_edge_silence_is_no_shortcut_after_placement(speech):
    """The longest silence is one of the talker's pauses, wherever the edges were."""
    core = speech[:N_SAMPLES - 32000]
    quiet = np.pad(core, 16000)
    outs = [placed(quiet, rng(k)) for k in range(20)]
    assert _longest_silence(quiet) >= 16000 > 8000 > _longest_silence(core)
    assert all(out.shape == quiet.shape and _longest_silence(out) <= _longest_silence(core) + 640
               for out in outs)
    assert len({out.tobytes() for out in outs}) == 20
    # they start anywhere
    assert np.unique(np.concatenate([out[:100] for out in outs])).size > 1000
