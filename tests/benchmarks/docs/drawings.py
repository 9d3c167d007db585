"""Two drawings: how data flows through the steps, and how AASIST is built."""
import math

import torch

from models.aasist import CONFIGS
from models import build_model
from tests.benchmarks.docs.svg import Box, Drawing
from utils.signals import N_SAMPLES

FOLDERS = (("data/raw", "archives, FLAC,", "your folders"),
           ("data/protocols", "one trial list", "per subset"),
           ("data/processed", "one store of 16 kHz", "waveforms per subset"),
           ("models/checkpoints", "best.onnx, best.pt:", "all it needs to score"),
           ("results", "scores, metrics,", "plots, report"))
STEPS = ("prepare_dataset", "preprocess_data", "aasist_training", "evaluate_model")


def flow() -> Drawing:
    """The folders, the steps between them, and the way of a recording to its verdict."""
    drawing = Drawing(1120, 330, "From data to a verdict")
    drawing.text(24, 36, "Training and evaluation: data moves one way", 15, weight="600",
                 anchor="start")
    boxes = [drawing.box(24 + 224 * n, 80, 160, 84, *words,
                         colour="blue" if n < 3 else "orange" if n == 3 else "green")
             for n, words in enumerate(FOLDERS)]
    for step, left, right in zip(STEPS, boxes, boxes[1:]):
        x = (left.x + left.w + right.x) / 2
        drawing.arrow(left.side("right"), right.side("left"))
        drawing.text(x, 66, step, 12, "#444444")
    drawing.text(24, 216, "A verdict: simplified_inference, with PyTorch or without", 15,
                 weight="600", anchor="start")
    words = (("recording", "any format"), ("16 kHz mono", "each voice by itself"),
             ("windows", "4.04 s, half overlap"), ("network", "two logits"),
             ("score", "log-likelihood ratio"), ("verdict", "bona fide, spoof,", "or uncertain"))
    row = [drawing.box(24 + 186 * n, 236, 142, 68, *text,
                       colour="grey" if n < 3 else "orange" if n == 3 else "green")
           for n, text in enumerate(words)]
    for left, right in zip(row, row[1:]):
        drawing.arrow(left.side("right"), right.side("left"))
    model = boxes[3]
    drawing.arrow(model.side("bottom", 0.2), row[3].side("top", 0.9), colour="orange")
    return drawing


def shapes() -> dict[str, tuple[int, ...]]:
    """The shapes inside AASIST for one window, without the batch, from the network itself."""
    model = build_model(CONFIGS["aasist"] | {"architecture": "aasist"}).eval()
    found = {}
    named = {"bands": model.bands, "features": model.encoder, "spectral": model.GAT_layer_S,
             "temporal": model.GAT_layer_T, "spectral kept": model.pool_S,
             "temporal kept": model.pool_T, "stack": model.HtrgGAT_layer_ST11}
    for name, module in named.items():
        module.register_forward_hook(lambda _module, _inputs, output, name=name: found.update(
            {name: [tuple(part.shape[1:]) for part in output] if isinstance(output, tuple)
             else tuple(output.shape[1:])}))
    with torch.inference_mode():
        hidden, logits = model(torch.zeros(1, N_SAMPLES))
    return found | {"hidden": tuple(hidden.shape[1:]), "logits": tuple(logits.shape[1:])}


def aasist() -> Drawing:
    """The network from the waveform to its two logits, with the shapes of one window."""
    found = shapes()
    bands, features = found["bands"], found["features"]
    spectral, temporal = found["spectral"][0], found["temporal"][0]
    drawing = Drawing(1290, 470, "The architecture of AASIST")
    wave = drawing.box(20, 196, 128, 84, "waveform", f"{N_SAMPLES:,} samples", "4.04 s at 16 kHz")
    sinc = drawing.box(180, 196, 128, 84, "70 sinc filters", "|·|, pooled by 3",
                       f"{bands[1]} × {bands[2]:,}")
    encoder = drawing.box(340, 184, 150, 108, "encoder", "six residual blocks",
                          "convolutions", f"{features[0]} × {features[1]} × {features[2]}")
    _wave_line(drawing, wave)
    _filters(drawing, sinc)
    _grid(drawing, encoder)
    top = _branch(drawing, 30, "blue", "spectral", spectral, found["spectral kept"][0])
    low = _branch(drawing, 348, "orange", "temporal", temporal, found["temporal kept"][0])
    stack = drawing.box(930, 176, 186, 124, "two HS-GAL branches", "both kinds in one graph,",
                        "a stack node hears all;", "the larger values stay", colour="green")
    read = drawing.box(1150, 176, 124, 124, "read-out", "max and mean of", "nodes, stack node:",
                       f"{found['hidden'][0]} numbers", "→ 2 logits", colour="green")
    for left, right in ((wave, sinc), (sinc, encoder), (stack, read)):
        drawing.arrow(left.side("right"), right.side("left"))
    drawing.arrow(encoder.side("top", 0.8), top[0].side("left"), colour="blue")
    drawing.arrow(encoder.side("bottom", 0.8), low[0].side("left"), colour="orange")
    drawing.arrow(top[1].side("right"), stack.side("top", 0.4), colour="blue")
    drawing.arrow(low[1].side("right"), stack.side("bottom", 0.4), colour="orange")
    _graph(drawing, (625, 178), ["blue"] * 7)
    _graph(drawing, (625, 296), ["orange"] * 7)
    _graph(drawing, (850, 238), ["blue", "orange"] * 4, "green")
    drawing.text(645, 462, "HS-GAL: heterogeneous stacking graph attention layer. After Jung et "
                 "al., ICASSP 2022. Shapes are those of one window.", 12, "#666666")
    return drawing


def _graph(drawing: Drawing, middle: tuple[float, float], colours: list[str],
           stack: str | None = None) -> None:
    """A graph in which each node hears all others; in its middle perhaps the stack node."""
    x, y = middle
    turns = [2 * math.pi * n / len(colours) for n in range(len(colours))]
    nodes = [(x + 40 * math.sin(turn), y - 40 * math.cos(turn)) for turn in turns]
    for number, one in enumerate(nodes):
        for other in nodes[number + 1:]:
            drawing.line([one, other], "white", 0.8)
        if stack:
            drawing.line([one, middle], stack, 1)
    for node, colour in zip(nodes, colours):
        drawing.dots([node], 6, colour)
    if stack:
        drawing.dots([middle], 8, stack)


def _branch(drawing: Drawing, y: float, colour: str, kind: str, nodes: int,
            kept: int) -> tuple[Box, Box]:
    """The nodes of one kind: made, attended, pooled."""
    over = "time" if kind == "spectral" else "bands"
    first = drawing.box(540, y, 170, 92, f"{nodes} {kind} nodes", f"largest over {over}",
                        "graph attention:", "each hears all", colour=colour)
    second = drawing.box(750, y, 140, 92, "graph pooling", f"keeps the best {kept}", "",
                         colour=colour)
    drawing.arrow(first.side("right"), second.side("left"), colour=colour)
    width = 118 / nodes
    drawing.dots([(761 + width * (n + 0.5), y + 72) for n in range(nodes)], 1.8, colour,
                 [n * kept // nodes != (n + 1) * kept // nodes for n in range(nodes)])
    return first, second


def _wave_line(drawing: Drawing, box: Box) -> None:
    points = [(box.x + 8 + n * 0.75, box.y - 34 + 24 * math.sin(n / 2.1) * math.sin(n / 24)
               * math.exp(-((n - 75) / 55) ** 2)) for n in range(150)]
    drawing.line(points, "grey")


def _filters(drawing: Drawing, box: Box) -> None:
    edges = [700 * (10 ** (2840 * n / 9 / 2595) - 1) / 8000 for n in range(10)]
    for low, high in zip(edges, edges[1:]):
        left, right = (box.x + 8 + 112 * edge for edge in (low, high))
        drawing.line([(left, box.y - 12), (left, box.y - 48), (right, box.y - 48),
                      (right, box.y - 12)], "grey")


def _grid(drawing: Drawing, box: Box) -> None:
    for layer in range(3):
        x, y = box.x + 40 + 9 * layer, box.y - 58 + 7 * layer
        drawing.parts.append(f'<rect x="{x}" y="{y}" width="54" height="36" fill="#ffffff" '
                             'stroke="#777777"/>')
    for n in range(1, 6):
        drawing.line([(x + 9 * n, y), (x + 9 * n, y + 36)], "white", 0.7)
    for n in range(1, 4):
        drawing.line([(x, y + 9 * n), (x + 54, y + 9 * n)], "white", 0.7)
