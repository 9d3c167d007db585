"""The one table of what can be trained.

A new network needs a row here and a module in models/, which holds its class and configuration.
PyTorch is not imported: `--help` answers at once.
"""
import argparse
from dataclasses import dataclass, field

from utils.training.recipes import EM, GRADIENT, PUBLISHED, RIDGE

SUM = "sum"     # of --layers
FRONT_ENDS = ("lfcc", "logmel")     # beside those of one's own
WHISPER = "FILE: the ONNX file with the first two blocks of Whisper base"
SELF_SUPERVISED = "NAME, FOLDER or FILE: a self-supervised encoder, such as xlsr-300m"
AASIST_START = "FILE: a checkpoint of an AASIST, whose weights stay as they are"


@dataclass(frozen=True)
class Learner:
    """What the command line needs to know of a module in utils/training/learners."""
    method: str
    recipe: dict
    options: tuple[str, ...] = ()       # beside those that set values of the recipe
    several_processes: bool = True


LEARNERS = {
    "gradient": Learner("gradients", GRADIENT, ("init_from", "freeze", "teacher")),
    "em": Learner("expectation-maximisation", EM, several_processes=False),
    "ridge": Learner("ridge regression", RIDGE, ("teacher",))}


@dataclass(frozen=True)
class Architecture:
    """What training needs to know of a network; its class and configuration lie in models/."""
    learner: str = "gradient"                           # of `LEARNERS`
    changes: dict = field(default_factory=dict)         # of the learner's recipe
    options: tuple[str, ...] = ()                       # of this network alone
    required: dict[str, str] = field(default_factory=dict)  # options without default, in words
    given: tuple[str, ...] = ()     # parts whose weights come from a file and never change
    starts: str | None = None       # the part that --init_from fills; None: the whole network
    before_blocks: tuple[str, ...] = ()     # of --freeze N: the parts before the first block
    blocks: str | None = None               # and the part that holds the blocks
    freeze: str | None = None               # of --freeze, unless it is given
    whole_start: bool = False               # --init_from gives what is required too

    @property
    def recipe(self) -> dict:
        """How it is trained by default."""
        return LEARNERS[self.learner].recipe | self.changes

    def knows(self, option: str) -> bool:
        """Whether an option of the command line has a meaning for this network."""
        own = (*LEARNERS[self.learner].options, *self.options, *self.required)
        return option in own or RECIPE_OPTIONS.get(option) in self.recipe


# 300,000 weights need a lower learning rate. Few epochs keep the training short on a laptop.
_AASIST = Architecture(changes={"learning_rate": 3e-4, "band_mask": True, "epochs": 10},
                       before_blocks=("bands", "first_bn"), blocks="encoder")
ARCHITECTURES: dict[str, Architecture] = {
    "aasist": _AASIST,
    "aasist-l": _AASIST,
    "small": Architecture(options=("front_end",), before_blocks=("front_end", "bin_norm", "stem"),
                          blocks="blocks"),
    "lcnn": Architecture(changes={"learning_rate": 1e-3, "epochs": 8}, options=("front_end",)),
    "lfcc-gmm": Architecture("em", options=("components",)),
    # A logistic regression on 4,608 standardised statistics.
    "encoder": Architecture(changes={"learning_rate": 2e-4, "epochs": 6}, given=("encoder",),
                            required={"encoder": WHISPER}),
    "hybrid": Architecture("ridge", given=("encoder", "aasist"), starts="aasist",
                           required={"encoder": WHISPER, "init_from": AASIST_START}),
    "shallow": Architecture("ridge", given=("conv1", "conv2"), required={"encoder": WHISPER}),
    "ssl": Architecture("ridge", options=("layers",), given=("encoder",),
                        required={"encoder": SELF_SUPERVISED}),
    # An encoder of a gigabyte: no second copy of it for averages.
    "ssl-aasist": Architecture(
        changes={"learning_rate": 3e-4, "batch_size": 8, "epochs": 5, "averaging": "none"},
        options=("layers",), required={"encoder": SELF_SUPERVISED}, freeze="encoder",
        whole_start=True,
        before_blocks=("encoder.feature_extractor", "encoder.encoder.feature_projection",
                       "encoder.encoder.transformer.pos_conv_embed"),
        blocks="encoder.encoder.transformer.layers"),
}
RECIPE_OPTIONS = {"augment": "augmentation"} | {name: name for name in (
    "balance", "source_power", "views", "ridge", "level_penalty", "channel_penalty",
    "label_smoothing", "averaging", "crop_seconds", "distil_weight", "distil_temperature",
    "batch_size", "learning_rate", "seed")}
OPTIONS = (*RECIPE_OPTIONS, "init_from", "freeze", "teacher", "encoder", "layers", "front_end",
           "components")


def chosen(args: argparse.Namespace) -> str:
    """The name of the architecture that the arguments ask for."""
    return "small" if args.small_model else args.architecture or "aasist"


def recipe_for(architecture: str, name: str, **given: object) -> dict:
    """The recipe `name` ("default" or "published") of an architecture, with the user's values."""
    recipe = PUBLISHED if name == "published" else ARCHITECTURES[architecture].recipe
    return recipe | {key: value for key, value in given.items() if value is not None}
