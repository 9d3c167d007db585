"""The Whisper front end: equal to the published encoder, read safely, exported whole."""
import numpy as np
import pytest
import soundfile
import torch

from models import CONFIGS, build_model
from models.encoder import SpeechEncoder, WhisperLogMel, mel_filters, statistics
from tests.conftest import ROOT
from tests.helpers.audio.example_speech import EXAMPLES
from utils.common.errors import InputError
from utils.training.setup.weights import load_encoder_weights

N_SAMPLES = 64600


@pytest.fixture(scope="module")
def weights(shared):
    return shared / "reference" / "encoders" / "whisper-base" / "whisper_base_encoder_l2_f16.onnx"


@pytest.fixture(scope="module")
def speech():
    path = EXAMPLES / "real_ljspeech_en.flac"
    return torch.from_numpy(np.resize(soundfile.read(path, dtype="float32")[0], N_SAMPLES))[None]


@pytest.fixture(scope="module")
def model():
    """The network with random weights."""
    torch.manual_seed(0)
    return build_model(CONFIGS["encoder"]).eval()


@pytest.fixture(scope="module")
def whisper(weights):
    """The encoder alone, with Whisper's own weights."""
    encoder = build_model(CONFIGS["encoder"]).encoder
    load_encoder_weights(encoder, weights)
    return encoder.eval()


def test_every_layer_equals_the_published_encoder(whisper, weights, speech):
    import onnxruntime
    session = onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        for length in (N_SAMPLES, 30001, 480):
            waves = speech[:, :length]
            mel = whisper.log_mel(waves).numpy()
            for ours, published in zip(whisper(waves), session.run(None, {"mel": mel}),
                                       strict=True):
                assert np.abs(ours.numpy() - published).max() < 1e-4


def test_the_mel_filters_are_slaneys():
    torchaudio = pytest.importorskip("torchaudio")
    published = torchaudio.functional.melscale_fbanks(201, 0, 8000, 80, 16000, norm="slaney",
                                                      mel_scale="slaney").T
    assert torch.allclose(mel_filters(), published, atol=1e-6)


def test_the_log_mel_spectrogram_is_whispers(speech):
    power = torch.stft(speech, 400, 160, window=torch.hann_window(400),
                       return_complex=True)[..., :-1].abs() ** 2
    level = (mel_filters() @ power).clamp(min=1e-10).log10()
    published = (torch.maximum(level, level.max() - 8) + 4) / 4
    ours = WhisperLogMel()(speech)
    assert ours.shape == (1, 80, N_SAMPLES // 160) and torch.allclose(ours, published, atol=1e-4)


def test_one_wave_does_not_touch_another_in_its_batch(model, speech):
    pair = torch.cat([speech, speech.flip(1) * 0.01])
    with torch.no_grad():
        assert torch.allclose(model(pair)[1][:1], model(speech)[1], atol=1e-4)


def test_statistics_are_mean_deviation_and_step():
    frames = torch.tensor([[[0.0, 1.0], [2.0, 1.0], [1.0, 1.0]]])
    assert torch.allclose(statistics(frames), torch.tensor([[1, 1, (2 / 3) ** 0.5, 1e-4, 1.5, 0]]),
                          atol=1e-6)


def test_silence_gives_finite_logits_and_gradients(model):
    assert all(torch.isfinite(part).all() for part in model(torch.zeros(1, N_SAMPLES)))
    waves = torch.zeros(2, 8000, requires_grad=True)
    build_model(CONFIGS["encoder"]).train()(waves)[1].sum().backward()
    assert torch.isfinite(waves.grad).all()


@pytest.mark.parametrize("length", [479, 202 * 320 + 160])
def test_a_length_outside_the_positional_table_is_refused(model, length):
    with pytest.raises(ValueError, match="480 to 64799 samples"):
        model(torch.zeros(1, length))


def test_a_frozen_encoder_keeps_its_weights_while_the_read_out_learns(speech):
    model = build_model(CONFIGS["encoder"]).train()
    model.encoder.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-2,
                                  weight_decay=0.1)
    waves = torch.cat([speech[:, :16000], speech[:, 16000:32000]])
    torch.nn.functional.cross_entropy(model(waves)[1], torch.tensor([0, 1])).backward()
    optimiser.step()
    changed = {name for name,
                        value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert {"out_layer.weight",
            "out_layer.bias"} <= changed and not any(name.startswith("encoder") for name in changed)


# the older exporter warns that it is the older one, and of fixed shapes
@pytest.mark.filterwarnings("ignore")
def test_the_exported_model_gives_the_same_logits(model, speech, tmp_path):
    import onnxruntime
    path = tmp_path / "encoder.onnx"
    torch.onnx.export(model, (torch.zeros(1, N_SAMPLES),), str(path), dynamo=False,
                      opset_version=17, input_names=["waves"],
                      output_names=["last_hidden", "logits"],
                      dynamic_axes={"waves": {0: "batch"}, "logits": {0: "batch"}})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    waves = torch.cat([speech, speech.flip(1) * 0.1])
    with torch.no_grad():
        assert np.abs(
            session.run(["logits"], {"waves": waves.numpy()})[0] -
            model(waves)[1].numpy()).max() < 1e-4


def test_the_weights_are_float16_values_exactly(whisper):
    assert all(torch.equal(p, p.half().float()) for p in whisper.parameters())


def test_a_file_without_weights_is_refused_in_a_sentence(tmp_path):
    whole = ROOT / "models" / "pretrained" / "detector.onnx"
    contents = {"damaged.onnx": whole.read_bytes()[:100_000], "text.onnx": b"not a model",
                "empty.onnx": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "absent.onnx"):
        with pytest.raises(InputError, match=name):
            load_encoder_weights(SpeechEncoder(2, 202), tmp_path / name)


def test_an_encoder_of_another_depth_is_refused(weights):
    with pytest.raises(InputError, match="layers.2"):
        load_encoder_weights(SpeechEncoder(3, 202), weights)
