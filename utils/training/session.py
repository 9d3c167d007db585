"""Everything a training run holds between two epochs; the loop itself stands in notebooks/aasist_training.py."""
import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from tqdm import tqdm

from models import build_model
from models.aasist import draw_band_mask
from utils.audio import N_SAMPLES, SAMPLE_RATE
from utils.audio.store import Store
from utils.errors import InputError
from utils.evaluation.calibration import decide
from utils.evaluation.metrics import eer
from utils.evaluation.plots import plot_history
from utils.evaluation.wording import headline
from utils.evaluation.results import LOCK, write_results
from utils.locks import only_run
from utils.provenance import environment
from utils.scoring.checkpoint import FORMAT, LABEL_ORDER, load_checkpoint, save_checkpoint
from utils.scoring.engine import engine_from_model, load_engine
from utils.scoring.export import export_onnx
from utils.scoring.recording import audio_profile, score_store
from utils.training import optimisation
from utils.training.allocator import keep_freed_memory
from utils.training.architectures import chosen, configuration, give_weights
from utils.training.batches import epoch_batches, make_order
from utils.training.data import CropDataset, attacks_of, identity, open_part, write_examples
from utils.training.recipes import recipe_for
from utils.training.run import BEFORE_TRAINING, LAST, choose_device, choose_run, load_state, seed_epoch, write_history

BEST, BEST_EPOCH = "best.pt", "best_epoch.pt"   # the latter where best.pt may be an average of epochs instead


class Session:
    """A run: data, model, optimiser, averaged weights, and what is written after each epoch."""

    def __init__(self, args: argparse.Namespace):
        self.architecture = chosen(args)
        self.recipe = recipe_for(self.architecture, args.recipe, batch_size=args.batch_size,
                                 learning_rate=args.learning_rate, augmentation=args.augment, seed=args.seed)
        self.device, self.workers, self.data_dir, self.seed = choose_device(args.device), args.num_workers, args.data_dir, self.recipe["seed"]
        self.train, self.dev = (open_part(args.data_dir, subset, args.max_samples, self.seed) for subset in ("train", "dev"))
        self.name = choose_run(args.checkpoint_dir, self.architecture, args.run_name, args.resume)
        self.run_dir, self.results_dir = args.checkpoint_dir / self.name, args.results_dir / self.name
        self.epochs = args.epochs or self.recipe["epochs"]
        given = {name: value for name, value in vars(args).items() if not isinstance(value, Path)}   # no private paths
        self.args = given | self.recipe | {"architecture": self.architecture, "epochs": self.epochs}
        self.data = {subset: identity(part) for subset, part in (("train", self.train), ("dev", self.dev))}
        self._build(configuration(args, self.train.rows), args.encoder)

    def _build(self, config: dict, encoder: Path | None) -> None:
        keep_freed_memory()
        seed_epoch(self.seed, BEFORE_TRAINING)
        torch.use_deterministic_algorithms(self.device.type == "cpu")
        self.config, self.model = config, build_model(config)
        give_weights(self.model, encoder)
        self.model.to(self.device)
        self.average = optimisation.make_average(self.model, self.recipe)
        self.optimizer = optimisation.make_optimizer(self.model, self.recipe)
        self.loss = optimisation.class_loss(self.recipe, self.device)
        self.crops = CropDataset(self.train, N_SAMPLES, self.seed, self.recipe["augmentation"])
        self.order = make_order(self.train.rows, self.recipe, self.seed)
        self.steps_per_epoch = len(self.order)
        self.audio = audio_profile(self.train)
        self.history: list[dict] = []

    def go_on(self) -> None:
        """Take up the state of an earlier part of this run, where there is one."""
        if not (self.run_dir / LAST).exists():
            return
        state = load_state(self.run_dir / LAST, self.args, self.data)
        self.model.load_state_dict(state["training"]["model"])
        self.average.load_state_dict(state["training"]["average"])
        self.optimizer.load_state_dict(state["training"]["optimizer"])
        self.history = state["history"]

    @property
    def epochs_done(self) -> int:
        """Epochs that this run has behind it."""
        return len(self.history)

    def summary(self) -> str:
        """What is about to happen, for a person."""
        weights = sum(p.numel() for p in self.model.parameters())
        if self.epochs_done >= self.epochs:
            return f"run {self.name} already has its {self.epochs} epochs: raise --epochs to train on"
        return (f"run {self.name}: {self.architecture} ({weights:,} weights) on {self.device}, {self.train.info['corpus']['name']}: "
                f"{len(self.train)} train and {len(self.dev)} dev utterances, {self.steps_per_epoch} steps of {self.recipe['batch_size']} "
                f"per epoch, epochs {self.epochs_done + 1} to {self.epochs}\n{self.crops.chain.describe()}")

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one epoch, every random generator seeded for it: waves (B, n_samples), labels (B,)."""
        seed_epoch(self.seed, epoch)
        batches = epoch_batches(self.crops, self.order, epoch, self.workers)
        return tqdm(batches, f"epoch {epoch + 1}/{self.epochs}", unit="step", leave=False, disable=None)

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
        if self.recipe["band_mask"]:
            return self.model(waves, band_mask=draw_band_mask())[1]
        return self.model(waves)[1]

    def check_finite(self, loss: Tensor, epoch: int, batch: int) -> None:
        """Stop, keeping the last good state, where the loss is no number any more."""
        if not torch.isfinite(loss):
            raise InputError(f"the loss is {loss.item()} in epoch {epoch + 1}, batch {batch + 1}: {self.run_dir} keeps the state before this "
                             "epoch; lower --learning_rate and train under another --run_name")

    def finish_epoch(self, loss: float, seconds: float) -> None:
        """Score dev, keep the model where it is the best so far, and save the state from which a run goes on."""
        moving = self.recipe["averaging"] == "moving"
        scored = self.average.module if moving else self.model
        figures = self._score_dev(scored)
        best, epoch = figures["dev_eer"] <= self.best_eer, self.epochs_done + 1
        if best and not moving:
            self.average.update_parameters(self.model)
        self.history.append({"epoch": epoch, "learning_rate": self.optimizer.param_groups[0]["lr"], "train_loss": loss,
                             "dev_loss": figures["dev_loss"], "dev_eer": figures["dev_eer"], "best": int(best), "seconds": round(seconds, 1)})
        checkpoint = self._checkpoint(scored, figures["scores"], f"epoch {epoch}")
        if best:
            save_checkpoint(self.run_dir / (BEST if moving else BEST_EPOCH), checkpoint)
        save_checkpoint(self.run_dir / LAST, checkpoint | {"training": {
            "model": self.model.state_dict(), "average": self.average.state_dict(), "optimizer": self.optimizer.state_dict()}})
        write_history(self.results_dir / "history.csv", self.history)
        print(f"epoch {epoch}/{self.epochs}: loss {loss:.3f}, dev EER {figures['dev_eer']:.2%}{' (best)' if best else ''}, "
              f"{seconds:.0f} s, about {seconds * (self.epochs - epoch) / 60:.0f} min left", flush=True)

    @property
    def best_eer(self) -> float:
        """The lowest dev EER so far; 1 before the first epoch."""
        return min((row["dev_eer"] for row in self.history), default=1.0)

    def _score_dev(self, model: nn.Module) -> dict:
        engine = engine_from_model(model, {"n_samples": N_SAMPLES, "calibration": None})
        scores, genuine = score_store(engine, self.dev, progress=False), np.array([row.key == "bonafide" for row in self.dev.rows])
        losses = np.logaddexp(0, np.where(genuine, -scores, scores))
        return {"scores": scores, "dev_eer": eer(scores[genuine], scores[~genuine])[0],
                "dev_loss": float((losses[genuine].mean() + losses[~genuine].mean()) / 2)}

    def _checkpoint(self, model: nn.Module, dev_scores: np.ndarray, which: str) -> dict:
        """Everything needed to score with `model` and to know where it comes from."""
        corpus = self.train.info["corpus"]
        return {
            "format": FORMAT, "architecture": self.architecture, "config": self.config,
            "state_dict": {name: value.detach().cpu().clone() for name, value in model.state_dict().items()},
            "label_order": LABEL_ORDER, "n_samples": N_SAMPLES, "sample_rate": SAMPLE_RATE,
            **decide(dev_scores, [row.key for row in self.dev.rows]), "audio": self.audio,
            "trained_on": {"corpus": corpus["name"], "description": corpus["description"], "demo": corpus["demo"],
                           "utterances": len(self.train), "seed": self.seed, "attacks": attacks_of(self.train),
                           "dev_attacks": attacks_of(self.dev), "data": self.data},
            "args": self.args, "history": self.history, "environment": environment() | {"threads": torch.get_num_threads()},
            "origin": f"trained with aasist_training.py, run {self.name}, {which}, the lowest dev EER so far: {self.best_eer:.2%}"}

    def finish(self) -> None:
        """Let the average of epochs compete on dev (published recipe), export the best model, and draw the curves."""
        best = f"the best epoch, dev EER {self.best_eer:.2%}"
        write_history(self.results_dir / "history.csv", self.history)   # a run killed just before writing it had its last epoch
        if self.recipe["averaging"] != "moving":
            best = self._choose_average()
        difference = export_onnx(self.run_dir / BEST, self.run_dir / "best.onnx")
        plot_history(self.results_dir / "history.png", self.history)
        print(f"kept {best}: {self.run_dir / BEST} and best.onnx (logits equal to {difference:.0e}); "
              f"{self.results_dir / 'history.csv'} and history.png")

    def _choose_average(self) -> str:
        """Write best.pt: the average of epochs, its batch-norm statistics renewed by one pass over train, or the best epoch."""
        seed_epoch(self.seed, self.epochs_done)
        update_bn((waves for waves, _ in self.batches(self.epochs_done)), self.average, self.device)
        figures, which = self._score_dev(self.average.module), f"the average of {int(self.average.n_averaged)} epochs"
        better = figures["dev_eer"] <= self.best_eer
        save_checkpoint(self.run_dir / BEST, self._checkpoint(self.average.module, figures["scores"], which) if better
                        else load_checkpoint(self.run_dir / BEST_EPOCH))
        print(f"{which}: dev EER {figures['dev_eer']:.2%}")
        return f"{which}, dev EER {figures['dev_eer']:.2%}" if better else f"the best epoch, dev EER {self.best_eer:.2%}"

    def test(self) -> None:
        """Evaluate the best model on the eval subset and leave figures, pictures, report and two example recordings."""
        store = Store(self.data_dir / "processed" / "eval")
        if store.info["corpus"]["name"] != self.train.info["corpus"]["name"]:
            raise InputError(f"{store.path} holds {store.info['corpus']['name']}, the model was trained on {self.train.info['corpus']['name']}: "
                             "preprocess the eval subset of the same corpus")
        engine = load_engine(self.run_dir / "best.onnx")
        print(f"evaluating on {len(store)} eval utterances", flush=True)
        with only_run(self.results_dir / LOCK, f"writing {self.results_dir}"):
            scores = score_store(engine, store)
            result = write_results(self.results_dir, store.rows, scores, engine.metadata, store=store, history=self.history,
                                   arguments=self.args)
        write_examples(self.results_dir / "examples", store, self.seed)
        print("\n".join(headline(result)))
        print(f"figures: {self.results_dir / 'metrics.json'}; report: {self.results_dir / 'report.html'}")
