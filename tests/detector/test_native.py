"""The native operator computes what its plain definition in the model file does."""
import numpy as np
import onnx
import onnxruntime
import pytest

from models import CONFIGS, build_model
from tests.helpers.networks.aasist_weights import random_checkpoint, random_input
from utils.common.errors import InputError
from utils.detector.checkpoint import save_checkpoint
from utils.detector.engines import load_engine, native
from utils.detector.engines.native import build
from utils.export.export import export_onnx

KINDS = ("none", "avx2", "")        # of AASIST_NATIVE
needs_library = pytest.mark.skipif(native.library() is None,
                                   reason="no native library for this system")


@pytest.fixture(scope="module", params=["aasist-l", "aasist"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("native")
    save_checkpoint(folder / "m.pt", _checkpoint(request.param, 12000))
    export_onnx(folder / "m.pt", folder / "m.onnx")
    return folder / "m.onnx"


def _checkpoint(architecture: str, n_samples: int) -> dict:
    if architecture == "aasist-l":
        return random_checkpoint(architecture, n_samples=n_samples)
    weights = build_model(CONFIGS[architecture]).state_dict()
    return random_checkpoint("aasist-l", n_samples=n_samples) | {
        "architecture": architecture, "config": CONFIGS[architecture], "state_dict": weights}


def _engine(path, kind, monkeypatch):
    monkeypatch.setenv("AASIST_NATIVE", kind)
    return load_engine(path, threads=1)


def _operators(engine, tmp_path):
    """The operators that the runtime keeps after its own changes to the graph."""
    options = onnxruntime.SessionOptions()
    native.register(options)
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "kept.onnx")
    onnxruntime.InferenceSession(str(engine), options, providers=["CPUExecutionProvider"])
    return {node.op_type for node in onnx.load(tmp_path / "kept.onnx").graph.node}


@needs_library
def test_every_kernel_gives_the_logits_of_the_definition(model, monkeypatch):
    waves = random_input()[:, :12000]
    engines = [_engine(model, kind, monkeypatch) for kind in KINDS]     # all at once
    plain, *others = (engine.logits(waves) for engine in engines)
    for logits in others:
        assert 0 < np.abs(logits - plain).max() <= 1e-5     # equal logits: it did not run


@needs_library
def test_the_operator_runs_where_a_library_is_and_its_definition_elsewhere(model, monkeypatch,
                                                                           tmp_path):
    assert "Encoder" in _operators(model, tmp_path)
    monkeypatch.setattr(native, "library", lambda: None)
    assert "Encoder" not in _operators(model, tmp_path)


@needs_library
@pytest.mark.parametrize("n_samples", [2315, 2400, 4502, 9573])
def test_every_window_length_runs_natively(n_samples, tmp_path):
    save_checkpoint(tmp_path / "m.pt", random_checkpoint("aasist-l", n_samples=n_samples))
    assert export_onnx(tmp_path / "m.pt", tmp_path / "m.onnx") <= 2e-5


@needs_library
def test_two_threads_that_score_at_once_get_their_own_logits(model):
    from concurrent.futures import ThreadPoolExecutor
    engine = load_engine(model, threads=1)
    waves = [random_input()[i % 2:i % 2 + 1, :12000] * (1 + i) for i in range(6)]
    alone = [engine.logits(wave) for wave in waves]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(engine.logits, waves * 4))
    assert all(np.array_equal(one, alone[i % 6]) for i, one in enumerate(together))


@needs_library
@pytest.mark.parametrize("name", ["filters", "norm", "block0.downsample", "block1.bias1",
                                  "block1.conv2", "block2.bias2", "block4.conv1"])
def test_weights_of_other_shapes_are_refused_and_no_memory_beside_them_is_read(name, model,
                                                                               tmp_path):
    changed = onnx.load(model)
    weight, = (one for one in changed.graph.initializer if one.name.removesuffix(".f16") == name)
    values = onnx.numpy_helper.to_array(weight)
    first = values[tuple(slice(0, 1) for _ in values.shape)].copy()
    weight.CopyFrom(onnx.numpy_helper.from_array(first, weight.name))
    onnx.save(changed, tmp_path / "m.onnx")
    with pytest.raises(InputError, match="export it again"):
        load_engine(tmp_path / "m.onnx", threads=1).logits(random_input()[:1, :12000])


def test_a_library_that_does_not_load_is_passed_over(model, monkeypatch, tmp_path):
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(native, "library", lambda: broken)
    assert load_engine(model, threads=1).logits(random_input()[:1, :12000]).shape == (1, 2)


def test_the_libraries_are_built_from_the_sources_beside_them():
    built = build.HERE / "built"
    assert (built / "sources.sha256").read_text().strip() == build.digest(), "run build.py"
    assert {path.name for path in built.iterdir()} == {"sources.sha256", *build.TARGETS}
