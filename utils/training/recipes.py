"""How each learner learns unless told otherwise, each value once; chosen on the default corpus.

A command-line option that sets a value belongs to the learners whose recipe holds that value.
`utils/training/architectures.py` says what a network changes.
"""

EVERY: dict = {
    "epochs": 30,
    "batch_size": 16,
    "crop_seconds": 4.0375,        # 64,600 samples, as published
    "augmentation": "speed",       # of utils/training/augment
    "seed": 1,
}
BALANCED: dict = EVERY | {
    "balance": "attack",           # half of each batch bona fide, attacks in equal shares
    "source_power": 0.5,           # balance by source: n utterances of one count like n^0.5
}
GRADIENT: dict = BALANCED | {
    "learning_rate": 2e-3,
    "betas": [0.9, 0.999],
    "weight_decay": 1e-4,
    "schedule": "exponential",     # independent of --epochs, so that 2 + 2 epochs equal 4
    "warmup_steps": 50,
    "decay": 0.93,                 # per epoch
    "class_weights": None,
    "label_smoothing": 0.0,
    "distil_weight": 0.5,          # of the teacher's scores beside the labels, with a teacher
    "distil_temperature": 2.0,     # of the teacher's probabilities
    "averaging": "moving",         # exponential moving average of the weights over steps
    "average_decay": 0.99,
    "band_mask": False,
}
EM: dict = BALANCED | {"epochs": 10, "augmentation": "none"}     # an epoch is a pass
RIDGE: dict = EVERY | {
    "epochs": 1,                   # each epoch is a fit of its own
    "source_power": 0.75,          # n utterances of a source by one attack count like n^0.75
    "views": 1,                    # crops of each utterance in one fit, each augmented anew
    "ridge": 0.004,                # penalty per unit of squared weight
    "level_penalty": 0.0,          # of the squared change of the score at another level
    "channel_penalty": 0.0,        # and through another channel
    "distil_weight": 0.5,          # of the teacher's scores beside the labels, with a teacher
    "distil_temperature": 2.0,     # of the teacher's probabilities
}

# The recipe of AASIST. Sources: [paper] Jung et al., "AASIST: Audio anti-spoofing using integrated
# spectro-temporal graph attention networks", ICASSP 2022 (arXiv:2110.01200), section 4.1;
# [config] config/AASIST.conf and config/AASIST-L.conf, [code] main.py, utils.py, data_utils.py,
# models/AASIST.py of github.com/clovaai/aasist at commit a04c986.
PUBLISHED: dict = GRADIENT | {
    "learning_rate": 1e-4,             # [paper] 10^-4; [config] base_lr
    "betas": [0.9, 0.999],             # [config] betas
    "weight_decay": 1e-4,              # [config] weight_decay: an L2 term, as Adam has it
    "schedule": "cosine",              # [paper] cosine annealing; [code] utils.py, a step per batch
    "final_learning_rate": 5e-6,       # [config] lr_min
    "schedule_epochs": 100,            # [config] num_epochs: the schedule ends with the training
    "epochs": 100,                     # [config] num_epochs
    "batch_size": 24,                  # [paper], [config] batch_size
    "class_weights": [0.1, 0.9],       # [code] main.py, train_epoch: weights of spoof, bona fide
    "balance": "none",                 # [code] main.py, get_loader: a plain shuffle
    "band_mask": False,                # [config] freq_aug "False": no `draw_band_mask`
    "crop_seconds": 4.0375,            # [code] data_utils.py: 64,600 samples
    "label_smoothing": 0.0,            # [code] none
    "augmentation": "none",            # [code] none but band masking
    "averaging": "swa-on-dev-improvement",  # [code] main.py, see below
    "seed": 1234,                      # [code] main.py, --seed
}
# Averaging [code, main.py]: after every epoch whose dev EER is at most the lowest so far, the
# weights join a running mean (SWA, equal shares). One pass over the train set at the end renews the
# batch-norm statistics of that mean. It is kept where dev does not prefer the best epoch. The
# release also picks a model by its t-DCF on the eval set: that is selection on the test data, and
# left out here. One more difference: dev is scored over all windows with speech, as everywhere.
