"""Everything a training run holds between two epochs; the loop itself stands in notebooks/aasist_training.py."""
import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from models import build_model
from models.aasist import draw_band_mask
from utils.signals import N_SAMPLES, SAMPLE_RATE
from utils.store.reader import StorePart
from utils.common.errors import InputError
from utils.detector.decision import fit_on_dev
from utils.metrics.metrics import eer
from utils.common.locks import only_run
from utils.common.provenance import environment
from utils.detector.checkpoint import FORMAT, LABEL_ORDER, load_checkpoint, save_checkpoint
from utils.export.export import quickest_engine
from utils.detector.scoring import audio_profile, score_store
from utils.training import optimisation
from utils.training.allocator import keep_freed_memory
from utils.training.architectures import check_crop, chosen, configuration, give_weights
from utils.training.batches import epoch_batches, epoch_items, make_order
from utils.training.data import CropDataset, attacks_of, identity, open_part
from utils.training.recipes import recipe_for
from utils.training.run import BEFORE_TRAINING, BEST, BEST_EPOCH, LAST, choose_run, load_state, seed_epoch, write_history
from utils.training.teacher import Teacher
from utils.training.transfer import file_id, freeze, start_from


class Session:
    """A run: data, model, optimiser, averaged weights, and what is written after each epoch."""

    def __init__(self, args: argparse.Namespace, group):
        """`group`: this process, alone or among others (utils/parallel/group.py)."""
        self.group, self.device, self.architecture = group, group.device, chosen(args)
        self.recipe = recipe_for(self.architecture, args.recipe, batch_size=args.batch_size, learning_rate=args.learning_rate,
                                 augmentation=args.augment, seed=args.seed, balance=args.balance, source_power=args.source_power, ridge=args.ridge,
                                 label_smoothing=args.label_smoothing, averaging=args.averaging, crop_seconds=args.crop_seconds,
                                 distil_weight=args.distil_weight, distil_temperature=args.distil_temperature)
        self.workers, self.data_dir, self.seed = args.num_workers, args.data_dir, self.recipe["seed"]
        self.train, self.dev = (open_part(args.data_dir, subset, args.max_samples, self.seed) for subset in ("train", "dev"))
        self.name = choose_run(args.checkpoint_dir, self.architecture, args.run_name, args.resume)
        self.run_dir, self.results_dir = args.checkpoint_dir / self.name, args.results_dir / self.name
        self.epochs = args.epochs or self.recipe["epochs"]
        given = {name: value for name, value in vars(args).items() if not isinstance(value, Path)}   # no private paths
        self.args = given | self.recipe | {"architecture": self.architecture, "epochs": self.epochs} | {
            name: file_id(getattr(args, name)) for name in ("teacher", "init_from", "encoder")}
        self.patience, self.more_data = args.early_stop, args.more_data
        self.data = {subset: identity(part) for subset, part in (("train", self.train), ("dev", self.dev))}
        config = configuration(args, self.train.rows)
        self.order = make_order(self.train.rows, self.recipe, self.seed)
        self._check_sizes(config)
        self._build(config, args.encoder, args.init_from)
        crop = round(self.recipe["crop_seconds"] * SAMPLE_RATE)
        self.crops = CropDataset(self.train, crop, self.seed, self.recipe["augmentation"])
        self.steps_per_epoch = len(self.order)
        self.criterion = optimisation.Criterion(self.recipe, self.device)
        self.teacher = Teacher(args.teacher, self.crops, self.device.type) if args.teacher else None
        self.audio = audio_profile(self.train)
        self.history: list[dict] = []
        self.bar = {"epochs": 0, "dev_eer": 1.0}    # what later epochs must beat, and the epochs that it stands for

    def _check_sizes(self, config: dict) -> None:
        check_crop(self.architecture, config, self.recipe["crop_seconds"])
        if self.order.batch_size < self.group.ranks.size:
            raise InputError(f"a batch of {self.order.batch_size} cannot be shared by {self.group.ranks.size} processes: "
                             "raise --batch_size, or train on more utterances")

    def _build(self, config: dict, encoder: Path | None, start: Path | None) -> None:
        keep_freed_memory()
        seed_epoch(self.seed, BEFORE_TRAINING)
        torch.use_deterministic_algorithms(self.device.type == "cpu")
        self.config, self.model = config, build_model(config)
        give_weights(self.model, encoder)
        self.start = start_from(self.model, config, start) if start else None
        self.model.to(self.device)
        self.resting = self.resting_in(self.model)
        self.network = self.group.network(self.model)
        self.average = optimisation.make_average(self.model, self.recipe)
        self.optimizer = optimisation.make_optimizer(self.model, self.recipe)

    def resting_in(self, model: nn.Module) -> list[nn.Module]:
        """The frozen modules of `model`, a network of this run, which stay in evaluation mode; their weights are frozen."""
        return freeze(model, self.architecture, self.args["freeze"]) if self.args["freeze"] else []

    def alone_on_its_folder(self) -> contextlib.AbstractContextManager:
        """Held while this run is trained: no other may write it."""
        if not self.group.ranks.lead:
            return contextlib.nullcontext()
        return only_run(self.run_dir / ".lock", f"training {self.name}")

    def go_on(self) -> None:
        """Take up the state of an earlier part of this run, where there is one."""
        if not (self.run_dir / LAST).exists():
            return
        state = load_state(self.run_dir / LAST, self.args, self.data, self.more_data)
        self.model.load_state_dict(state["training"]["model"])
        self.average.load_state_dict(state["training"]["average"])
        self.optimizer.load_state_dict(state["training"]["optimizer"])
        self.history, self.bar = state["history"], state["training"].get("bar", self.bar)
        if state["trained_on"]["data"] != self.data:
            self._set_bar()

    def _set_bar(self) -> None:
        """Judge and calibrate the best model so far on the dev set of today: later epochs are compared with that."""
        best = self.run_dir / self.best_file
        model = build_model(self.config)
        model.load_state_dict(load_checkpoint(best)["state_dict"])
        figures = self.score_dev(model.to(self.device))
        self.bar = {"epochs": self.epochs_done, "dev_eer": figures["dev_eer"]}
        which = f"the best of {self.epochs_done} epochs on earlier data"
        if self.group.ranks.lead:
            save_checkpoint(best, self.checkpoint(model, figures, which))
        print(f"other data than before: {which} has dev EER {figures['dev_eer']:.2%} on these")

    @property
    def epochs_done(self) -> int:
        """Epochs that this run has behind it."""
        return len(self.history)

    @property
    def epochs_ahead(self) -> range:
        """The epochs (from 0) that are still to be trained, early stopping apart."""
        return range(self.epochs_done, self.epochs)

    @property
    def patience_is_over(self) -> bool:
        """Whether --early_stop ends the run: so many epochs without a lower dev EER."""
        ahead = self.history[self.bar["epochs"]:] if self.best_eer < self.bar["dev_eer"] else []
        lowest = next((row["epoch"] for row in ahead if row["dev_eer"] == self.best_eer), self.bar["epochs"])
        return self.patience is not None and self.epochs_done - lowest >= self.patience

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one epoch, every random generator seeded for it: waves (B, n_samples), labels (B,).

        Of several processes each reads its share of every batch.
        """
        seed_epoch(self.seed, epoch)
        self.items = epoch_items(self.order, epoch, self.group.ranks.share(self.order.batch_size))
        batches = epoch_batches(self.crops, self.items, self.workers)
        return tqdm(batches, f"epoch {epoch + 1}/{self.epochs}", unit="step", leave=False, disable=None if self.group.ranks.lead else True)

    def training_mode(self) -> None:
        """Dropout and batch statistics on, but for what is frozen."""
        self.network.train()
        for module in self.resting:
            module.eval()

    def set_learning_rate(self, epoch: int, number: int) -> None:
        """Give the optimiser the learning rate of a step of an epoch, both counted from 0."""
        step = epoch * self.steps_per_epoch + number
        for group in self.optimizer.param_groups:
            group["lr"] = optimisation.learning_rate(self.recipe, step, self.steps_per_epoch)

    def after_step(self) -> None:
        """Let the step's weights join the moving average, where the recipe has one."""
        if self.recipe["averaging"] == "moving":
            self.average.update_parameters(self.model)

    def logits(self, waves: Tensor) -> Tensor:
        """Logits (B, 2) of waves (B, n_samples), with the recipe's augmentation."""
        waves = waves.to(self.device)
        band_mask = {"band_mask": draw_band_mask()} if self.recipe["band_mask"] else {}
        with self.group.randomness(self.order.batch_size):
            return self.network(waves, **band_mask)[1]

    def loss(self, logits: Tensor, labels: Tensor, number: int) -> Tensor:
        """The loss of the epoch's batch `number` (from 0): of its labels, and of the teacher's scores where there is one.

        Of several processes each returns what its share adds to the mean loss, so that the mean over them is that.
        """
        labels = labels.to(self.device)
        scores = self.teacher.scores(self.items[number]) if self.teacher else None
        hard, soft = self.criterion(logits, labels, scores)
        return hard * self.group.portion(self.criterion.weight_of(labels)) + soft * self.group.portion(len(labels))

    def check_finite(self, loss: Tensor, epoch: int, batch: int) -> None:
        """Stop, keeping the last good state, where the loss is no number any more."""
        if not torch.isfinite(loss):
            raise InputError(f"the loss is {loss.item()} in epoch {epoch + 1}, batch {batch + 1}: {self.run_dir} keeps the state "
                             "before this epoch; lower --learning_rate and train under another --run_name")

    def finish_epoch(self, loss: float, seconds: float) -> None:
        """Score dev, keep the model where it is the best so far, and save the state from which a run goes on."""
        averaging = self.recipe["averaging"]
        scored = self.average.module if averaging == "moving" else self.model
        figures = self.score_dev(scored)
        best, epoch = figures["dev_eer"] <= self.best_eer, self.epochs_done + 1
        if best and averaging == "swa-on-dev-improvement":
            self.average.update_parameters(self.model)
        self.history.append({"epoch": epoch, "learning_rate": self.optimizer.param_groups[0]["lr"], "train_loss": loss,
                             "dev_loss": figures["dev_loss"], "dev_eer": figures["dev_eer"], "best": int(best),
                             "seconds": round(seconds, 1)})
        if self.group.ranks.lead:
            self._save(scored, figures, best)
        print(f"epoch {epoch}/{self.epochs}: loss {loss:.3f}, dev EER {figures['dev_eer']:.2%}{' (best)' if best else ''}, "
              f"{seconds:.0f} s, about {seconds * (self.epochs - epoch) / 60:.0f} min left", flush=True)

    def _save(self, scored: nn.Module, figures: dict, best: bool) -> None:
        checkpoint = self.checkpoint(scored, figures, f"epoch {self.epochs_done}")
        if best:
            save_checkpoint(self.run_dir / self.best_file, checkpoint)
        save_checkpoint(self.run_dir / LAST, checkpoint | {"training": {
            "model": self.model.state_dict(), "average": self.average.state_dict(), "optimizer": self.optimizer.state_dict(),
            "bar": self.bar}})
        write_history(self.results_dir / "history.csv", self.history)

    @property
    def best_eer(self) -> float:
        """The lowest dev EER so far, of the dev set of today; 1 before the first epoch."""
        return min([self.bar["dev_eer"], *(row["dev_eer"] for row in self.history[self.bar["epochs"]:])])

    @property
    def best_file(self) -> str:
        """Where the best epoch is kept."""
        return BEST_EPOCH if self.recipe["averaging"] == "swa-on-dev-improvement" else BEST

    def scores_of(self, engine: object, store: object, progress: bool = False) -> np.ndarray:
        """Reported scores of a store's utterances, in its order; of several processes each scores its share."""
        own = range(len(store))[self.group.ranks.share(len(store))]
        return self.group.collect(score_store(engine, StorePart(store, list(own)), progress=progress))

    def score_dev(self, model: nn.Module) -> dict:
        """Scores of dev (uncalibrated) with the EER and the class-balanced cross-entropy that they give."""
        engine = quickest_engine(model, {"n_samples": N_SAMPLES, "calibration": None})
        scores, genuine = self.scores_of(engine, self.dev), np.array([row.labels.is_bonafide for row in self.dev.rows])
        losses = np.logaddexp(0, np.where(genuine, -scores, scores))
        return {"scores": scores, "dev_eer": eer(scores[genuine], scores[~genuine])[0],
                "dev_loss": float((losses[genuine].mean() + losses[~genuine].mean()) / 2)}

    def checkpoint(self, model: nn.Module, figures: dict, which: str) -> dict:
        """Everything needed to score with `model` and to know where it comes from; `figures` as of `score_dev`."""
        corpus = self.train.info["corpus"]
        return {
            "format": FORMAT, "architecture": self.architecture, "config": self.config,
            "state_dict": {name: value.detach().cpu().clone() for name, value in model.state_dict().items()},
            "label_order": LABEL_ORDER, "n_samples": N_SAMPLES, "sample_rate": SAMPLE_RATE,
            **fit_on_dev(figures["scores"], [row.labels.key for row in self.dev.rows], chose_epoch=self.epochs > 1), "audio": self.audio,
            "trained_on": {"corpus": corpus["name"], "description": corpus["description"], "demo": corpus["demo"],
                           "utterances": len(self.train), "seed": self.seed, "attacks": attacks_of(self.train),
                           "dev_attacks": attacks_of(self.dev), "data": self.data,
                           **({"start": self.start} if self.start else {})},
            "args": self.args, "history": self.history,
            "environment": environment() | {"threads": torch.get_num_threads(), "processes": self.group.ranks.size},
            "origin": f"trained with aasist_training.py, run {self.name}, {which}, dev EER {figures['dev_eer']:.2%}"}
