"""LFCC-GMM: the likelihoods and the expectation-maximisation of the textbook, and the same scores
after export."""
import numpy as np
import pytest
import torch

from models import build_model
from models.gmm import LFCCGMM
from tests.helpers.networks.aasist_weights import random_checkpoint, random_input
from utils.export import export
from utils.detector.checkpoint import save_checkpoint
from utils.detector.engines import load_engine
from utils.training.batches import Batch
from utils.training.learners.em import affordable, em_pass, start

COMPONENTS = 4


def noises(count: int, batches: int, seed: int = 0) -> list[Batch]:
    """Batches of coloured noise, of another colour for each class: waves (count, 8000), labels
    (count,)."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(batches):
        labels = np.arange(count) % 2
        waves = rng.standard_normal((count, 8000)) * rng.uniform(0.01, 0.3, (count, 1))
        waves[:, 1:] += np.where(labels, 0.9, -0.4)[:, None] * waves[:, :-1]
        found.append(Batch(torch.from_numpy(waves.astype(np.float32)), torch.from_numpy(labels),
                           []))
    return found


@pytest.fixture(scope="module")
def fitted() -> LFCCGMM:
    model = LFCCGMM(COMPONENTS)
    start(model, noises(8, 3), utterances=12, seed=1)
    for _ in range(3):
        em_pass(model, noises(8, 3))
    return model


def published(model: LFCCGMM, label: int):
    """scikit-learn's mixture with the model's weights, in float64."""
    from sklearn.mixture import GaussianMixture
    mixture = GaussianMixture(COMPONENTS, covariance_type="diag", reg_covar=0, max_iter=1,
                              weights_init=model.log_weights[label].double().softmax(0).numpy(),
                              means_init=model.means[label].double().numpy(),
                              precisions_init=model.precisions[label].double().numpy())
    mixture.weights_, mixture.means_ = mixture.weights_init, mixture.means_init
    mixture.precisions_cholesky_ = np.sqrt(mixture.precisions_init)
    return mixture


def frames_of(model: LFCCGMM, batches, label: int) -> np.ndarray:
    """(n, 60) of all frames of a class."""
    return np.concatenate([
        model.front_end(batch.waves[batch.labels == label]).transpose(1, 2).flatten(
            0, 1).double().numpy() for batch in batches
    ])


def test_the_score_is_the_mean_log_likelihood_ratio_per_frame(fitted):
    waves = noises(4, 1, seed=5)[0].waves
    embedding, logits = fitted(waves)
    for wave, likelihoods, pair in zip(waves, embedding, logits, strict=True):
        frames = fitted.front_end(wave[None])[0].T.double().numpy()
        spoof, bonafide = (published(fitted, label).score(frames) for label in (0, 1))
        assert likelihoods.tolist() == pytest.approx([spoof, bonafide], rel=1e-5)
        assert float(pair[1] - pair[0]) == pytest.approx(bonafide - spoof, abs=1e-4)
        assert float(pair.sum()) == pytest.approx(0, abs=1e-5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_pass_is_the_expectation_maximisation_of_scikit_learn(fitted):
    batches, model = noises(8, 2, seed=7), LFCCGMM(COMPONENTS)
    model.load_state_dict(fitted.state_dict())
    frames = [frames_of(model, batches, label) for label in (0, 1)]
    expected = [published(fitted, label).fit(part) for label, part in enumerate(frames)]
    before = [published(fitted, label).score(part) for label, part in enumerate(frames)]
    before = np.average(before, weights=[len(part) for part in frames])
    assert em_pass(model, batches) == pytest.approx(-before, rel=1e-6)
    for label, mixture in enumerate(expected):
        heard = mixture.weights_ * len(frames[label]) >= 10
        assert heard.sum() >= 2
        assert np.allclose(model.log_weights[label].exp(), mixture.weights_, atol=1e-4)
        assert np.allclose(model.means[label][heard], mixture.means_[heard], atol=1e-4)
        assert np.allclose(model.precisions[label][heard], mixture.precisions_[heard], rtol=1e-3)


def test_every_pass_makes_the_frames_likelier_and_the_classes_part(fitted):
    model, batches = LFCCGMM(COMPONENTS), noises(8, 3)
    start(model, batches, utterances=12, seed=1)
    losses = [em_pass(model, batches) for _ in range(4)]
    assert losses == sorted(losses, reverse=True)
    batch = noises(8, 1, seed=9)[0]
    logits = model(batch.waves)[1]
    assert torch.equal(logits.argmax(dim=1), batch.labels)


def test_the_same_seed_gives_the_same_mixtures_and_another_others():
    def means(seed):
        model = LFCCGMM(COMPONENTS)
        start(model, noises(8, 3), utterances=12, seed=seed)
        return model.means
    assert torch.equal(means(1), means(1)) and not torch.equal(means(1), means(2))


def test_a_component_that_nobody_speaks_for_keeps_its_place(fitted):
    model = LFCCGMM(COMPONENTS)
    model.load_state_dict(fitted.state_dict())
    model.means[:, 0] = 1e4
    em_pass(model, noises(8, 1))
    assert (model.means[:, 0] == 1e4).all()
    assert all(torch.isfinite(p).all() for p in model.parameters())


@pytest.mark.parametrize("utterances, components", [(10_000, 512), (128, 512), (100, 256), (5, 16),
                                                    (1, 4), (0, 1)])
def test_few_data_get_fewer_components(utterances, components):
    assert affordable(512, utterances, 403) == components
    assert affordable(3, utterances, 403) == min(3, components)


def test_digital_silence_has_a_finite_score(fitted):
    assert torch.isfinite(fitted(torch.zeros(1, 8000))[1]).all()


def test_the_exported_mixtures_give_the_same_scores(fitted, tmp_path):
    torch.manual_seed(0)
    config = {"architecture": "lfcc-gmm", "components": COMPONENTS}
    assert isinstance(build_model(config), LFCCGMM)
    save_checkpoint(
        tmp_path / "m.pt",
        random_checkpoint()
        | {"architecture": "lfcc-gmm", "config": config, "state_dict": fitted.state_dict()})
    assert export.export_onnx(tmp_path / "m.pt", tmp_path / "m.onnx") <= 1e-5
    ours, exported = (load_engine(tmp_path / f"m.{kind}", threads=1).logits(random_input())
                      for kind in ("pt", "onnx"))
    assert np.abs(ours - exported).max() <= 1e-5
