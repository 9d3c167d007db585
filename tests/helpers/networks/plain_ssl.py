"""The published formulae of self-supervised detectors, written out over the published names.

Apart from torchaudio's code and from the project's: what a converted detector must give.
"""
import torch
from torch import Tensor
from torch.nn import functional as F

STRIDES = (5, 2, 2, 2, 2, 2, 2)


def plain_encoder(w: dict[str, Tensor], x: Tensor, heads: int, per_layer: bool = True,
                  ) -> tuple[Tensor, list[Tensor]]:
    """wav2vec 2.0 over fairseq's names: the final frames (B, T, D), and those after each block."""
    x = x[:, None]
    for k, stride in enumerate(STRIDES):
        name = f"feature_extractor.conv_layers.{k}"
        x = F.conv1d(x, w[f"{name}.0.weight"], w.get(f"{name}.0.bias"), stride=stride)
        if f"{name}.2.1.weight" in w:
            x = _layer_norm(w, f"{name}.2.1", x.mT).mT
        elif k == 0:
            x = F.group_norm(x, x.size(1), w[f"{name}.2.weight"], w[f"{name}.2.bias"])
        x = F.gelu(x)
    x = _apply(w, "post_extract_proj", _layer_norm(w, "layer_norm", x.mT))
    v, g = w["encoder.pos_conv.0.weight_v"], w["encoder.pos_conv.0.weight_g"]
    kernel = g * v / v.square().sum((0, 1), keepdim=True).sqrt()
    places = F.conv1d(x.mT, kernel, w["encoder.pos_conv.0.bias"], padding=64, groups=16)
    x = x + F.gelu(places[..., :-1]).mT
    if not per_layer:
        x = _layer_norm(w, "encoder.layer_norm", x)
    layers = []
    while (name := f"encoder.layers.{len(layers)}") + ".fc1.bias" in w:
        x = _block(w, name, x, heads, per_layer)
        layers.append(x)
    return _layer_norm(w, "encoder.layer_norm", x) if per_layer else x, layers


def _block(w: dict, name: str, x: Tensor, heads: int, before: bool) -> Tensor:
    attention, dense = f"{name}.self_attn_layer_norm", f"{name}.final_layer_norm"
    y = _layer_norm(w, attention, x) if before else x
    q, k, v = (_apply(w, f"{name}.self_attn.{part}_proj", y).unflatten(2, (heads, -1))
               .transpose(1, 2) for part in "qkv")
    weights = (q @ k.mT / q.size(3) ** 0.5).softmax(3)
    x = x + _apply(w, f"{name}.self_attn.out_proj", (weights @ v).transpose(1, 2).flatten(2))
    x = x if before else _layer_norm(w, attention, x)
    y = _layer_norm(w, dense, x) if before else x
    x = x + _apply(w, f"{name}.fc2", F.gelu(_apply(w, f"{name}.fc1", y)))
    return x if before else _layer_norm(w, dense, x)


def _apply(w: dict, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].mT + w[f"{name}.bias"]


def _layer_norm(w: dict, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return (centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
            * w[f"{name}.weight"] + w[f"{name}.bias"])


def _normed(w: dict, name: str, x: Tensor, dim: int = 1) -> Tensor:
    """A batch norm in evaluation."""
    shape = [1] * x.ndim
    shape[dim] = -1
    scale = w[f"{name}.weight"] / (w[f"{name}.running_var"] + 1e-5).sqrt()
    shift = w[f"{name}.bias"] - w[f"{name}.running_mean"] * scale
    return x * scale.view(shape) + shift.view(shape)


def plain_detector(family: str, w: dict[str, Tensor], waves: Tensor, heads: int = 16) -> Tensor:
    """The logits (B, 2) that the authors' code computes, from their weights."""
    prefix = "m_ssl.model." if family == "antideepfake" else "ssl_model.model."
    own = {name.removeprefix(prefix): value for name, value in w.items()
           if name.startswith(prefix)}
    if family == "antideepfake":
        waves = F.layer_norm(waves, waves.shape[1:])
        return _apply(w, "proj_fc", plain_encoder(own, waves, heads)[0].mean(1))
    final, layers = plain_encoder(own, waves, heads)
    if family == "xlsr-aasist":
        return _graphs(w, final)
    stack = torch.stack(layers, 1)
    gates = torch.sigmoid(_apply(w, "fc0", stack.mean(2)))
    image = F.selu(_normed(w, "first_bn", (stack * gates[:, :, None]).sum(1)[:, None]))
    hidden = F.selu(_apply(w, "fc1", F.max_pool2d(image, 3).flatten(1)))
    return F.selu(_apply(w, "fc3", hidden)).log_softmax(1)


def _graphs(w: dict, frames: Tensor) -> Tensor:
    x = F.max_pool2d(_apply(w, "LL", frames).mT[:, None], 3)
    x = F.selu(_normed(w, "first_bn", x))
    for k in range(6):
        x = _residual(w, f"encoder.{k}.0", x)
    x = F.selu(_normed(w, "first_bn1", x))
    gate = F.conv2d(x, w["attention.0.weight"], w["attention.0.bias"])
    gate = F.conv2d(_normed(w, "attention.2", F.selu(gate)), w["attention.3.weight"],
                    w["attention.3.bias"])
    spectral = (x * gate.softmax(-1)).sum(-1).mT + w["pos_S"]
    temporal = (x * gate.softmax(-2)).sum(-2).mT
    spectral = _pool(w, "pool_S", _attend(w, "GAT_layer_S", spectral))
    temporal = _pool(w, "pool_T", _attend(w, "GAT_layer_T", temporal))
    ends = [_stack(w, k, temporal, spectral) for k in "12"]
    t, s, m = (torch.maximum(a, b) for a, b in zip(*ends))
    last = torch.cat([t.abs().amax(1), t.mean(1), s.abs().amax(1), s.mean(1), m[:, 0]], 1)
    return _apply(w, "out_layer", last)


def _residual(w: dict, name: str, x: Tensor) -> Tensor:
    y = F.conv2d(x, w[f"{name}.conv1.weight"], w[f"{name}.conv1.bias"], padding=(1, 1))
    y = F.conv2d(F.selu(_normed(w, f"{name}.bn2", y)), w[f"{name}.conv2.weight"],
                 w[f"{name}.conv2.bias"], padding=(0, 1))
    down = f"{name}.conv_downsample"
    if f"{down}.weight" in w:
        x = F.conv2d(x, w[f"{down}.weight"], w[f"{down}.bias"], padding=(0, 1))
    return y + x


def _attend(w: dict, name: str, x: Tensor) -> Tensor:
    pairs = torch.tanh(_apply(w, f"{name}.att_proj", x[:, :, None] * x[:, None]))
    attention = (pairs @ w[f"{name}.att_weight"])[..., 0].div(2.0).softmax(-1)
    y = _apply(w, f"{name}.proj_with_att", attention @ x) + _apply(w, f"{name}.proj_without_att", x)
    return F.selu(_normed(w, f"{name}.bn", y, dim=2))


def _pool(w: dict, name: str, x: Tensor) -> Tensor:
    scores = torch.sigmoid(_apply(w, f"{name}.proj", x))
    keep = max(int(x.size(1) * 0.5), 1)
    order = scores[..., 0].argsort(1, descending=True)[:, :keep]
    return torch.stack([row[index] for row, index in zip(x * scores, order)])


def _stack(w: dict, k: str, temporal: Tensor, spectral: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    master = w[f"master{k}"].expand(len(temporal), -1, -1)
    t, s, m = _both(w, f"HtrgGAT_layer_ST{k}1", temporal, spectral, master)
    s, t = _pool(w, f"pool_hS{k}", s), _pool(w, f"pool_hT{k}", t)
    t2, s2, m2 = _both(w, f"HtrgGAT_layer_ST{k}2", t, s, m)
    return t + t2, s + s2, m + m2


def _both(w: dict, name: str, t: Tensor, s: Tensor, master: Tensor,
          ) -> tuple[Tensor, Tensor, Tensor]:
    n = t.size(1)
    x = torch.cat([_apply(w, f"{name}.proj_type1", t), _apply(w, f"{name}.proj_type2", s)], 1)
    pairs = torch.tanh(_apply(w, f"{name}.att_proj", x[:, :, None] * x[:, None]))
    board = (pairs @ w[f"{name}.att_weight12"])[..., 0]
    board[:, :n, :n] = (pairs[:, :n, :n] @ w[f"{name}.att_weight11"])[..., 0]
    board[:, n:, n:] = (pairs[:, n:, n:] @ w[f"{name}.att_weight22"])[..., 0]
    y = _apply(w, f"{name}.proj_with_att", board.div(100.0).softmax(-1) @ x)
    y = F.selu(_normed(w, f"{name}.bn", y + _apply(w, f"{name}.proj_without_att", x), dim=2))
    to_all = torch.tanh(_apply(w, f"{name}.att_projM", x * master)) @ w[f"{name}.att_weightM"]
    gathered = to_all.div(100.0).softmax(1).mT @ x
    master = (_apply(w, f"{name}.proj_with_attM", gathered)
              + _apply(w, f"{name}.proj_without_attM", master))
    return y[:, :n], y[:, n:], master
