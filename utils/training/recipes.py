"""How each network is trained unless told otherwise, each value listed once; chosen by measurement on the default corpus."""
from utils.training.presets import PUBLISHED_RECIPE

DEFAULT_RECIPE: dict = {
    "learning_rate": 2e-3,
    "betas": [0.9, 0.999],
    "weight_decay": 1e-4,
    "schedule": "exponential",     # falls by `decay` per epoch: independent of --epochs, so that 2 + 2 epochs equal 4
    "warmup_steps": 50,
    "decay": 0.93,
    "epochs": 30,
    "batch_size": 16,
    "balance": "attack",           # each batch half bona fide, half spoof, the attacks in equal shares; see batches.py
    "source_power": 0.5,           # balance by source: a source of n utterances gets a share of its class like n^0.5
    "label_smoothing": 0.0,
    "crop_seconds": 4.0375,        # 64,600 samples, as published
    "distil_weight": 0.5,          # of the teacher's scores beside the labels, where there is a teacher
    "distil_temperature": 2.0,     # of its probabilities (teacher.py)
    "class_weights": None,
    "averaging": "moving",         # exponential moving average over steps
    "average_decay": 0.99,
    "band_mask": False,
    "seed": 1,
    "augmentation": "speed",       # of utils/training/augment
}
# A deep network of 300 k weights learns more slowly, and a laptop pays by the epoch.
RECIPES: dict[str, dict] = {
    "small": DEFAULT_RECIPE,
    "aasist": DEFAULT_RECIPE | {"learning_rate": 3e-4, "band_mask": True, "epochs": 10},
    "aasist-l": DEFAULT_RECIPE | {"learning_rate": 3e-4, "band_mask": True, "epochs": 10},
    "lcnn": DEFAULT_RECIPE | {"learning_rate": 1e-3, "epochs": 8},
    # The read-out of a frozen encoder: a logistic regression on 4,608 standardised statistics.
    "encoder": DEFAULT_RECIPE | {"learning_rate": 2e-4, "epochs": 6},
    # A ridge regression on frozen statistics (utils/training/learners/ridge.py); `ridge`: per unit of squared weight.
    "hybrid": DEFAULT_RECIPE | {"learning_rate": 0.0, "average_decay": 0.0, "augmentation": "speed", "epochs": 1,
                                "balance": "weights", "source_power": 0.75, "ridge": 0.004},
    # Passes of expectation-maximisation (utils/training/learners/em.py): no learning rate, no averaging over passes.
    "lfcc-gmm": DEFAULT_RECIPE | {"learning_rate": 0.0, "average_decay": 0.0, "augmentation": "none", "epochs": 10},
}


def recipe_for(architecture: str, name: str, **given: int | float | None) -> dict:
    """The recipe `name` ("default" or "published") for an architecture, with the values that the user gave."""
    recipe = DEFAULT_RECIPE | PUBLISHED_RECIPE if name == "published" else RECIPES[architecture]
    return recipe | {key: value for key, value in given.items() if value is not None}
