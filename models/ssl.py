"""Detectors on a self-supervised speech encoder: wav2vec 2.0, XLS-R, MMS, HuBERT or WavLM.

The encoder is torchaudio's (Baevski et al. 2020, Babu et al. 2022, Hsu et al. 2021, Chen et al.
2022). It is imported when a network is built: no other network needs it. Three back-ends read its
frames: a linear layer over statistics; AASIST's graphs (Tak et al., "Automatic speaker verification
spoofing and deepfake detection using wav2vec 2.0 and data augmentation", Odyssey 2022); sensitive
layer selection (Zhang et al., "Audio deepfake detection with self-supervised XLS-R and SLS
classifier", ACM MM 2024). The weights come from files: utils/encoders.
"""
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.aasist import residual_blocks
from models.encoder import N_STATISTICS, statistics
from models.graph import GraphReadOut

NO_DROPOUT = ("projection_dropout", "attention_dropout", "ff_interm_dropout", "dropout",
              "layer_drop")
FINAL, BLOCK, WEIGHTED = "final", "block", "weighted"   # which frames a back-end reads
POOL = 3                            # in both directions, of the published back-ends
GRAPH_WIDTH = 128                   # numbers per frame that the graph back-end reads
GRAPH_CHANNELS = [32, 32, 64, 64]
GRAPH_DIMS = [64, 32]
GRAPH_RATIOS = [0.5, 0.5, 0.5]
SLS_HIDDEN = 1024


def speech_encoder(kind: str, convolutions: list[list[int]], **settings) -> nn.Module:
    """torchaudio's encoder without dropout, with fresh weights.

    `kind`: "wav2vec2" (also HuBERT) or "wavlm". `convolutions`: width, kernel and stride of each.
    `settings`: as torchaudio's factory names them.
    """
    from torchaudio.models import wav2vec2_model, wavlm_model
    factory = {"wav2vec2": wav2vec2_model, "wavlm": wavlm_model}[kind]
    still = {f"encoder_{name}": 0.0 for name in NO_DROPOUT}
    return factory(extractor_conv_layer_config=[tuple(layer) for layer in convolutions],
                   aux_num_out=None, **still, **settings)


def n_frames(n_samples: int, convolutions: list[list[int]]) -> int:
    """How many frames an encoder makes of a wave."""
    for _, kernel, stride in convolutions:
        n_samples = (n_samples - kernel) // stride + 1
    return n_samples


class SpeechFrames(nn.Module):
    """The encoder that all of these networks begin with.

    `normalise`: waves get zero mean and unit variance first. `read`: the frames after the last
    block and the final norm ("final"), after the last block ("block"), or a learnt weighted sum of
    those after all blocks ("weighted").
    """

    def __init__(self, encoder: dict, normalise: bool, read: str):
        super().__init__()
        self.encoder = speech_encoder(**encoder)
        self.normalise = normalise
        self.read = read
        if read == WEIGHTED:
            self.layer_weights = nn.Parameter(torch.zeros(encoder["encoder_num_layers"]))

    @property
    def norm_before_blocks(self) -> str | None:
        """The name of the norm that frames meet before the first block, if there is one."""
        first = self.encoder.encoder.transformer.layer_norm_first   # not that of `encoder`'s config
        return "encoder.encoder.transformer.layer_norm" if first else None

    def frames(self, waves: Tensor) -> Tensor:
        """(B, T) -> (B, frames, D)."""
        if self.read == FINAL:
            return self.encoder(self._level(waves))[0]
        layers = self.layers(waves)
        if self.read == BLOCK:
            return layers[-1]
        return (torch.stack(layers, dim=3) * self.layer_weights.softmax(0)).sum(3)

    def layers(self, waves: Tensor) -> list[Tensor]:
        """(B, T) -> the frames (B, frames, D) after each block."""
        return self.encoder.extract_features(self._level(waves))[0]

    def _level(self, waves: Tensor) -> Tensor:
        if not self.normalise:
            return waves
        centred = waves - waves.mean(dim=1, keepdim=True)
        return centred * (centred.square().mean(dim=1, keepdim=True) + 1e-5).rsqrt()


class OnStatistics(SpeechFrames):
    """A linear layer over the mean of the frames, or over their statistics.

    Waves float32 (B, T) -> (statistics (B, H), logits (B, 2): spoof, bona fide). `mean` and
    `scale` standardise the statistics.
    """

    def __init__(self, encoder: dict, normalise: bool, read: str, mean_alone: bool = False):
        super().__init__(encoder, normalise, read)
        self.mean_alone = mean_alone
        width = encoder["encoder_embed_dim"] * (1 if mean_alone else N_STATISTICS)
        self.widths = [width]
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.out_layer = nn.Linear(width, 2)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        frames = self.frames(waves)
        pooled = frames.mean(dim=1) if self.mean_alone else statistics(frames)
        last_hidden = (pooled - self.mean) * self.scale
        return last_hidden, self.out_layer(last_hidden)

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Set `mean` and `scale` from the mean and the deviation (H,) of the raw statistics."""
        self.mean.copy_(mean)
        self.scale.copy_(len(mean) ** -0.5 / (deviation + 1e-4))


class OnGraphs(SpeechFrames, GraphReadOut):
    """AASIST's residual encoder and graphs over frames, which take the place of sinc bands.

    Waves float32 (B, T) -> (last_hidden (B, 160), logits (B, 2): spoof, bona fide). Attention
    makes the nodes, where AASIST takes maxima. Names as in the published state dict, but for the
    residual blocks, there `encoder`.
    """

    def __init__(self, encoder: dict, normalise: bool, read: str):
        super().__init__(encoder, normalise, read)
        width = GRAPH_CHANNELS[-1]
        self.LL = nn.Linear(encoder["encoder_embed_dim"], GRAPH_WIDTH)
        self.first_bn = nn.BatchNorm2d(1)
        self.first_bn1 = nn.BatchNorm2d(width)
        self.blocks = residual_blocks(GRAPH_CHANNELS, pooled=False)
        self.attention = nn.Sequential(nn.Conv2d(width, 128, 1), nn.SELU(), nn.BatchNorm2d(128),
                                       nn.Conv2d(128, width, 1))
        self.add_graphs(GRAPH_WIDTH // POOL, width, GRAPH_DIMS, GRAPH_RATIOS)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        image = self.LL(self.frames(waves)).transpose(1, 2).unsqueeze(1)
        x = self.blocks(F.selu(self.first_bn(F.max_pool2d(image, POOL))))
        x = F.selu(self.first_bn1(x))                   # (B, 64, 42, frames // 3)
        attention = self.attention(x)
        spectral = (x * attention.softmax(3)).sum(3)
        temporal = (x * attention.softmax(2)).sum(2)
        return self.from_nodes(spectral.transpose(1, 2), temporal.transpose(1, 2))


class OnGatedLayers(SpeechFrames):
    """Each block's frames, weighted by a gate on their mean, summed, pooled, and two linear layers.

    Waves float32 (B, n_samples) -> (hidden layer, logits (B, 2): spoof, bona fide).
    """

    def __init__(self, encoder: dict, normalise: bool, read: str, n_samples: int):
        super().__init__(encoder, normalise, read)
        width = encoder["encoder_embed_dim"]
        frames = n_frames(n_samples, encoder["convolutions"])
        self.first_bn = nn.BatchNorm2d(1)
        self.fc0 = nn.Linear(width, 1)
        self.fc1 = nn.Linear((frames // POOL) * (width // POOL), SLS_HIDDEN)
        self.fc3 = nn.Linear(SLS_HIDDEN, 2)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        image = sum(frames * torch.sigmoid(self.fc0(frames.mean(dim=1, keepdim=True)))
                    for frames in self.layers(waves))
        x = F.selu(self.first_bn(image.unsqueeze(1)))
        last_hidden = F.selu(self.fc1(F.max_pool2d(x, POOL).flatten(1)))
        return last_hidden, F.selu(self.fc3(last_hidden)).log_softmax(dim=1)


BACK_ENDS = {"linear": OnStatistics, "aasist": OnGraphs, "sls": OnGatedLayers}


def with_back_end(back_end: str, **settings) -> SpeechFrames:
    """The network with one of `BACK_ENDS`. Raises KeyError for another name."""
    return BACK_ENDS[back_end](**settings)


# Half of wav2vec 2.0's base encoder: that of --encoder takes its place in training.
BASE = {"kind": "wav2vec2", "convolutions": [[512, 10, 5], *[[512, 3, 2]] * 4, *[[512, 2, 2]] * 2],
        "extractor_mode": "group_norm", "extractor_conv_bias": False, "encoder_embed_dim": 768,
        "encoder_pos_conv_kernel": 128, "encoder_pos_conv_groups": 16, "encoder_num_layers": 6,
        "encoder_num_heads": 12, "encoder_ff_interm_features": 3072,
        "encoder_layer_norm_first": False}
NETWORK = with_back_end
CONFIGS = {
    "ssl": {"back_end": "linear", "encoder": BASE, "normalise": False, "read": BLOCK},
    "ssl-aasist": {"back_end": "aasist", "encoder": BASE, "normalise": False, "read": FINAL}}
