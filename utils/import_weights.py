"""Turn the published weights of a detector into a checkpoint of this project.

    python utils/import_weights.py --weights AASIST.pth --architecture aasist \\
        --output models/checkpoints/aasist/best.pt
"""
import sys
from pathlib import Path
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse

from utils.common.arguments import Parser
from utils.common.errors import InputError, run
from utils.common.files import file_sha256

ASVSPOOF2019 = {"corpus": "ASVspoof 2019 LA",
                "description": "trained by its authors on the ASVspoof 2019 LA train partition",
                "demo": False, "utterances": 25380, "seed": 1234,
                "attacks": [f"A{i:02d}" for i in range(1, 7)]}
ASVSPOOF5 = {"corpus": "ASVspoof 5",
             "description": "the ASVspoof 5 baseline, trained by its authors on the track 1 train "
                            "partition",
             "demo": False, "utterances": 182357, "seed": None,
             "attacks": [f"A{i:02d}" for i in range(1, 9)]}
POST_TRAINED = {"corpus": "AntiDeepfake",
                "description": "post-trained by its authors on 56,000 hours of real and 18,000 of "
                               "fake speech, ASVspoof 2019, 2021 and 5 among it",
                "demo": False, "utterances": None, "seed": None, "attacks": []}
SELF_SUPERVISED = ("xlsr-aasist", "antideepfake", "xlsr-sls")   # utils/encoders/detectors.py
UNKNOWN = {"corpus": "unknown", "description": "published weights of unknown training",
           "demo": False, "utterances": None, "seed": None, "attacks": []}
# The files released at github.com/clovaai/aasist (models/weights), at
# github.com/asvspoof-challenge/asvspoof5 and at huggingface.co/nii-yamagishilab (model.safetensors,
# the sums as others publish them): {SHA-256: (name, training data)}.
KNOWN_WEIGHTS = {
    "51d2d9cf0738172f61e2a384ec50a54a55363240f67c971ed55a92435bc1a1c0":
        ("the published AASIST", ASVSPOOF2019),
    "814331d088032bb4c3fa61cc014789eadeed464209dd094ab3a2dd6ffbdce27a":
        ("the published AASIST-L", ASVSPOOF2019),
    "8f10fe1d1ce3ac62c19f00b86dfaf79f86f464301d23e08726b16b02edbb601c":
        ("the published ASVspoof 5 baseline", ASVSPOOF5),
    "828ee456122f86d5d631cb7895a10e5c62c78a4fcb8a8b1c42cb5838a9abcfe0":
        ("the published AntiDeepfake wav2vec small", POST_TRAINED),
    "b27943fefaff677bc95890051cf27b14fd72ab66e55eca6d3395cdb5788c2bb5":
        ("the published AntiDeepfake wav2vec large", POST_TRAINED),
    "9bd5d9785bf72f91dfca8508651354946c4b307921cb358505e1b94035102224":
        ("the published AntiDeepfake MMS 300M", POST_TRAINED),
}


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE",
                        help="the published state dict (.pth, .ckpt or .safetensors)")
    parser.add_argument("--architecture", choices=["aasist", "aasist-l", *SELF_SUPERVISED],
                        required=True, help="the detector of these weights")
    parser.add_argument("--output", type=Path, required=True, metavar="CHECKPOINT",
                        help="the .pt file to write")
    return parser


def published_checkpoint(weights: Path, architecture: str) -> dict:
    """A checkpoint from the state dict in `weights`.

    Raises `InputError` if the state dict does not match `architecture` exactly.
    """
    from utils.common.provenance import environment
    from utils.detector.checkpoint import FORMAT, LABEL_ORDER, check_weights
    from utils.detector.decision import UNCALIBRATED
    from utils.signals import N_SAMPLES, SAMPLE_RATE
    config, state_dict, protocol = _read(weights, architecture)
    check_weights(config, state_dict, weights)
    digest = file_sha256(weights)
    name, trained_on = KNOWN_WEIGHTS.get(digest, ("other", UNKNOWN))
    return {"format": FORMAT, "architecture": config["architecture"], "config": config,
            "state_dict": dict(state_dict), "label_order": LABEL_ORDER, "n_samples": N_SAMPLES,
            "sample_rate": SAMPLE_RATE, **UNCALIBRATED, **protocol, "audio": None,
            "trained_on": trained_on, "args": {"architecture": architecture}, "history": [],
            "environment": environment(),
            "origin": f"{name} weights of {architecture}, imported from {weights.name} "
                      f"(SHA-256 {digest})"}


def _read(weights: Path, architecture: str) -> tuple[dict, dict, dict]:
    """Configuration, state dict, and what `published_score` does otherwise than for AASIST."""
    if architecture in SELF_SUPERVISED:
        from utils.encoders.detectors import PUBLISHED, read_published
        family = PUBLISHED[architecture]
        return *read_published(weights, architecture), {
            "published_whole": family.whole, "published_difference": family.difference}
    from models import CONFIGS
    from utils.detector.checkpoint import published_architecture, read_pickle
    content = read_pickle(weights)
    if (found := published_architecture(content)) in SELF_SUPERVISED:
        raise InputError(f"{weights} holds the weights of another detector: choose --architecture "
                         f"{found}")
    return CONFIGS[architecture], content, {}


def main(argv: list[str] | None = None) -> int:
    """Import the weights named on the command line; returns the exit code."""
    args = build_parser().parse_args(argv)
    if args.output.suffix != ".pt":
        raise InputError(f"--output {args.output} must end in .pt: "
                         "the other steps recognise a checkpoint by its suffix")
    from utils.detector.checkpoint import save_checkpoint
    checkpoint = published_checkpoint(args.weights, args.architecture)
    save_checkpoint(args.output, checkpoint)
    print(f"wrote {args.output}: {checkpoint['origin']}")
    if checkpoint["trained_on"] is UNKNOWN:
        print("every name and shape is as published; which release these weights are is not known")
    return 0


if __name__ == "__main__":
    run(main)
