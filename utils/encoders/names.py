"""Names of an encoder's weights: those of fairseq and of Hugging Face, as torchaudio names them.

Every name is known, or the file is refused. Weights that only pre-training uses are left out.
"""
import re
from pathlib import Path

import torch
from torch import Tensor

from utils.common.errors import InputError

STRIDES = (5, 2, 2, 2, 2, 2, 2)     # of the convolutions, which no weight tells: 50 frames a second
BASE_WIDTH, BASE_HEADS, LARGE_HEADS = 768, 12, 16
_LAYER = r"encoder\.layers\.(\d+)\."
_TARGET = r"encoder.transformer.layers.\1."
FAIRSEQ = (
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.(?:1\.)?(?=weight|bias)",
     r"feature_extractor.conv_layers.\1.layer_norm."),
    (r"layer_norm\.", "encoder.feature_projection.layer_norm."),
    (r"post_extract_proj\.", "encoder.feature_projection.projection."),
    (r"encoder\.pos_conv\.0\.bias", "encoder.transformer.pos_conv_embed.conv.bias"),
    (r"encoder\.pos_conv\.0\.(?:weight_g|parametrizations\.weight\.original0)",
     "encoder.transformer.pos_conv_embed.conv.G"),
    (r"encoder\.pos_conv\.0\.(?:weight_v|parametrizations\.weight\.original1)",
     "encoder.transformer.pos_conv_embed.conv.V"),
    (r"encoder\.layer_norm\.", "encoder.transformer.layer_norm."),
    (_LAYER + r"self_attn\.([kvq]|out)_proj\.", _TARGET + r"attention.\2_proj."),
    (_LAYER + r"self_attn_layer_norm\.", _TARGET + "layer_norm."),
    (_LAYER + r"fc1\.", _TARGET + "feed_forward.intermediate_dense."),
    (_LAYER + r"fc2\.", _TARGET + "feed_forward.output_dense."),
    (_LAYER + r"final_layer_norm\.", _TARGET + "final_layer_norm."))
HUGGING_FACE = (
    (r"feature_extractor\.conv_layers\.(\d+)\.(conv|layer_norm)\.",
     r"feature_extractor.conv_layers.\1.\2."),
    (r"feature_projection\.(layer_norm|projection)\.", r"encoder.feature_projection.\1."),
    (r"encoder\.pos_conv_embed\.conv\.bias", "encoder.transformer.pos_conv_embed.conv.bias"),
    (r"encoder\.pos_conv_embed\.conv\.(?:weight_g|parametrizations\.weight\.original0)",
     "encoder.transformer.pos_conv_embed.conv.G"),
    (r"encoder\.pos_conv_embed\.conv\.(?:weight_v|parametrizations\.weight\.original1)",
     "encoder.transformer.pos_conv_embed.conv.V"),
    (r"encoder\.layer_norm\.", "encoder.transformer.layer_norm."),
    (_LAYER + r"(attention|layer_norm|feed_forward|final_layer_norm)\.", _TARGET + r"\2."))
NORMED = {"G": "parametrizations.weight.original0", "V": "parametrizations.weight.original1"}
PRETRAINING = re.compile(   # or speech recognition: nothing that reads frames needs these
    r"(mask_emb|masked_spec_embed|label_embs_concat)$"
    r"|(quantizer|project_q|project_hid|final_proj|lm_head|proj|w2v_encoder\.proj)\.")
HEADS = re.compile(r"(w2v_model|w2v_encoder\.w2v_model|wav2vec2|hubert|wavlm)\.")


def torchaudio_names(weights: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Weights in fairseq's or Hugging Face's names, in torchaudio's; float32.

    Raises `InputError` and names a weight that is in neither.
    """
    bare = {HEADS.sub("", name, count=1) if HEADS.match(name) else name: value
            for name, value in weights.items()}
    theirs = any(name.startswith("feature_projection.") for name in bare)
    rules = HUGGING_FACE if theirs else FAIRSEQ
    found = {}
    for name, value in bare.items():
        if not PRETRAINING.match(name):
            found[_renamed(name, rules, path)] = value.float()
    return _joined_projections(found)


def _renamed(name: str, rules: tuple, path: Path) -> str:
    for pattern, target in rules:
        new, count = re.subn("^" + pattern, target, name)
        if count:
            head, _, last = new.rpartition(".")
            return f"{head}.{NORMED[last]}" if last in NORMED else new
    raise InputError(f"{path} holds a weight {name!r}, which no wav2vec 2.0, HuBERT or WavLM "
                     "encoder has in names of fairseq or Hugging Face: name another file")


def _joined_projections(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """WavLM's attention keeps query, key and value in one matrix; the others stay as they are."""
    if not any("gru_rel_pos_const" in name for name in weights):
        return weights
    joined = {}
    for name, value in weights.items():
        head, _, last = name.partition(".attention.")
        part, _, kind = last.rpartition(".")
        if part == "q_proj":
            parts = [weights[f"{head}.attention.{letter}_proj.{kind}"] for letter in "qkv"]
            joined[f"{head}.attention.attention.in_proj_{kind}"] = torch.cat(parts)
        elif part == "out_proj":
            joined[f"{head}.attention.attention.{last}"] = value
        elif part not in ("k_proj", "v_proj"):
            joined[name] = value
    return joined


def encoder_settings(weights: dict[str, Tensor], path: Path) -> dict:
    """The settings of `models.ssl.speech_encoder` that these weights, in torchaudio's names, tell.

    The number of heads and the place of the norms are those of every published encoder of that
    width and kind. Raises `InputError` where a weight is missing.
    """
    try:
        return _settings(weights)
    except (KeyError, IndexError) as error:
        raise InputError(f"{path} lacks the weight {error} of a speech encoder: "
                         "name another file") from error


def _settings(weights: dict[str, Tensor]) -> dict:
    numbers = range(len({name.split(".")[2] for name in weights
                         if name.startswith("feature_extractor.conv_layers.")}))
    kernels = [weights[f"feature_extractor.conv_layers.{k}.conv.weight"] for k in numbers]
    norms = [f"feature_extractor.conv_layers.{k}.layer_norm.weight" in weights for k in numbers]
    per_layer = all(norms)
    positions = weights["encoder.transformer.pos_conv_embed.conv.parametrizations.weight.original1"]
    blocks = {name.split(".")[3] for name in weights
              if name.startswith("encoder.transformer.layers.")}
    width = len(weights["encoder.feature_projection.projection.bias"])
    dense = weights["encoder.transformer.layers.0.feed_forward.intermediate_dense.bias"]
    settings = {
        "kind": "wav2vec2",
        "convolutions": [[kernel.size(0), kernel.size(2), stride]
                         for kernel, stride in zip(kernels, STRIDES)],
        "extractor_mode": "layer_norm" if per_layer else "group_norm",
        "extractor_conv_bias": "feature_extractor.conv_layers.0.conv.bias" in weights,
        "encoder_embed_dim": width,
        "encoder_pos_conv_kernel": positions.size(2),
        "encoder_pos_conv_groups": width // positions.size(1),
        "encoder_num_layers": len(blocks),
        "encoder_num_heads": BASE_HEADS if width == BASE_WIDTH else LARGE_HEADS,
        "encoder_ff_interm_features": len(dense),
        "encoder_layer_norm_first": per_layer}
    bias = weights.get("encoder.transformer.layers.0.attention.rel_attn_embed.weight")
    if bias is None:
        return settings
    return settings | {"kind": "wavlm", "encoder_num_buckets": bias.size(0),
                       "encoder_num_heads": bias.size(1), "encoder_max_distance": 800}
