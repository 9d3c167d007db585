"""The recipe that AASIST was published with, value by value.

Sources: [paper] Jung et al., "AASIST: Audio anti-spoofing using integrated spectro-temporal graph attention networks",
ICASSP 2022 (arXiv:2110.01200), section 4.1; [config] config/AASIST.conf and config/AASIST-L.conf, [code] main.py,
utils.py, data_utils.py, models/AASIST.py of github.com/clovaai/aasist at commit a04c986.
"""

PUBLISHED_RECIPE: dict = {
    "learning_rate": 1e-4,             # [paper] 10^-4; [config] base_lr
    "betas": [0.9, 0.999],             # [config] betas
    "weight_decay": 1e-4,              # [config] weight_decay: an L2 term of the gradient, as Adam takes it
    "schedule": "cosine",              # [paper] cosine annealing; [code] utils.py, one step per batch, not per epoch
    "final_learning_rate": 5e-6,       # [config] lr_min
    "schedule_epochs": 100,            # [config] num_epochs: the schedule ends with the training
    "epochs": 100,                     # [config] num_epochs
    "batch_size": 24,                  # [paper], [config] batch_size
    "class_weights": [0.1, 0.9],       # [code] main.py, train_epoch: cross-entropy weights of spoof, bona fide
    "balance": "none",                 # [code] main.py, get_loader: a plain shuffle, no sampling by class or attack
    "band_mask": False,                # [config] freq_aug "False"; `models.aasist.draw_band_mask` is what it turns on
    "crop_seconds": 4.0375,            # [code] data_utils.py: 64,600 samples
    "label_smoothing": 0.0,            # [code] none
    "augmentation": "none",            # [code] none but band masking
    "averaging": "swa-on-dev-improvement",  # [code] main.py, see below
    "seed": 1234,                      # [code] main.py, --seed
}

# Averaging [code, main.py]: after every epoch whose dev EER is at most the lowest so far, the weights join a running mean
# (SWA, equal shares). At the end the mean takes over and one pass over the train set in training mode, without
# gradients, renews the batch-norm statistics. The release also picks a "best" model by its t-DCF on the eval set; that
# is selection on the test data and deliberately left out: here the mean is kept where dev does not prefer the best epoch.
# One difference remains: dev is scored over all windows with speech, as everywhere here, not by the first 64,600 samples.
