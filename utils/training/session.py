"""Everything a training run holds between two epochs; the loop itself stands in notebooks/aasist_training.py."""
import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from models import CONFIGS, build_model
from utils.audio import N_SAMPLES, SAMPLE_RATE
from utils.audio.store import Store
from utils.errors import InputError
from utils.evaluation.calibration import decide
from utils.evaluation.metrics import eer
from utils.provenance import environment
from utils.scoring.checkpoint import load_checkpoint, metadata, save_checkpoint
from utils.scoring.engine import engine_from_model
from utils.scoring.recording import score_store
from utils.training import optimisation
from utils.training.allocator import keep_freed_memory
from utils.training.batches import BalancedOrder, CropDataset, epoch_batches, stratified_subset
from utils.training.presets import recipe_for
from utils.training.run import choose_device, choose_run, load_state, save_state, seed_epoch, write_history


class StorePart:
    """Some utterances of a store, seen as a store: what `--max_samples` leaves."""

    def __init__(self, store: Store, indices: list[int]):
        self.store, self.indices = store, indices
        self.rows, self.info = [store.rows[i] for i in indices], store.info

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, i: int, start: int = 0, count: int | None = None) -> np.ndarray:
        """int16 samples of the part's utterance `i`."""
        return self.store.read(self.indices[i], start, count)


def open_part(data_dir: Path, subset: str, max_samples: int | None, seed: int) -> StorePart:
    """The store of a subset, cut to `max_samples` by key and attack. `InputError` where a class is absent."""
    store = Store(data_dir / "processed" / subset)
    part = StorePart(store, stratified_subset([(row.key, row.attack) for row in store.rows], max_samples, seed))
    keys = {row.key for row in part.rows}
    if len(keys) < 2:
        raise InputError(f"the {subset} subset in {data_dir / 'processed'} holds only {' and '.join(keys) or 'no'} utterances: "
                         "training needs both classes, preprocess more of it")
    return part


class Session:
    """A run: data, model, optimiser, averaged weights, and what is written after each epoch."""

    def __init__(self, args: argparse.Namespace):
        architecture = "small" if args.small_model else args.architecture
        self.recipe = recipe_for(architecture, args.recipe, batch_size=args.batch_size, learning_rate=args.learning_rate)
        self.device, self.seed = choose_device(args.device), args.seed
        self.train, self.dev = (open_part(args.data_dir, subset, args.max_samples, args.seed) for subset in ("train", "dev"))
        self.name = choose_run(args.checkpoint_dir, architecture, args.run_name, args.resume)
        self.run_dir, self.results_dir = args.checkpoint_dir / self.name, args.results_dir / self.name
        self.args = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
        self.args |= {"architecture": architecture, "recipe_values": self.recipe}
        self.data_dir, self.workers = args.data_dir, args.num_workers
        self.epochs = args.epochs or self.recipe["epochs"]
        self._build(CONFIGS[architecture])
        if args.resume and (self.run_dir / "last.pt").exists():
            self._restore(load_state(self.run_dir / "last.pt", self.args))

    def _build(self, config: dict) -> None:
        keep_freed_memory()
        seed_epoch(self.seed, BEFORE_TRAINING)
        torch.use_deterministic_algorithms(self.device.type == "cpu")
        self.config, self.model = config, build_model(config).to(self.device)
        self.average = optimisation.make_average(self.model, self.recipe)
        self.optimizer = optimisation.make_optimizer(self.model, self.recipe)
        self.loss = optimisation.class_loss(self.recipe, self.device)
        self.crops = CropDataset(self.train, N_SAMPLES, self.seed)
        self.order = make_order(self.recipe["sampling"], self.train.rows, self.recipe["batch_size"], self.seed)
        self.steps_per_epoch = len(self.order)
        self.history: list[dict] = []

    def _restore(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = state["history"]

    @property
    def epochs_done(self) -> int:
        """Epochs that this run has behind it."""
        return len(self.history)

    def summary(self) -> str:
        """What is about to happen, for a person."""
        weights = sum(p.numel() for p in self.model.parameters())
        return (f"run {self.name}: {self.args['architecture']} ({weights:,} weights) on {self.device}, {self.train.info['corpus']['name']}: "
                f"{len(self.train)} train and {len(self.dev)} dev utterances, {self.steps_per_epoch} steps of {self.recipe['batch_size']} "
                f"per epoch, epochs {self.epochs_done + 1} to {self.epochs}")

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one epoch, every random generator seeded for it: waves (B, n_samples), labels (B,)."""
        seed_epoch(self.seed, epoch)
        batches = epoch_batches(self.crops, self.order, epoch, self.workers)
        return tqdm(batches, f"epoch {epoch + 1}/{self.epochs}", total=self.steps_per_epoch, unit="step", leave=False)

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step, counted from the start of the run."""
        return optimisation.learning_rate(self.recipe, step, self.steps_per_epoch)

    def logits(self, waves: Tensor) -> Tensor:
        """Logits (B, 2) of augmented waves (B, n_samples)."""
        waves = augment(waves.to(self.device), self.recipe["augment"])
        if self.recipe["band_masking"]:
            return self.model(waves, band_mask=draw_band_mask())[1]
        return self.model(waves)[1]

    def check_finite(self, loss: Tensor, epoch: int, batch: int) -> None:
        """Stop, keeping the last good state, where the loss is no number any more."""
        if not torch.isfinite(loss):
            raise InputError(f"the loss is {loss.item()} in epoch {epoch + 1}, batch {batch + 1}: {self.run_dir} keeps the state before this "
                             "epoch; lower --learning_rate and train under another --run_name")

    def finish_epoch(self, loss: float, seconds: float) -> None:
        """Score dev, keep the model where it is the best so far, and save the state from which a run goes on."""
        scored = self.average.module if self.recipe["average"] == "steps" else self.model
        figures = self._score_dev(scored)
        best = figures["dev_eer"] <= min((row["dev_eer"] for row in self.history), default=1.0)
        if best and self.recipe["average"] == "best_epochs":
            self.average.update_parameters(self.model)
        epoch = self.epochs_done + 1
        self.history.append({"epoch": epoch, "learning_rate": self.optimizer.param_groups[0]["lr"], "train_loss": loss,
                             **{k: figures[k] for k in ("dev_loss", "dev_eer")}, "best": int(best), "seconds": round(seconds, 1)})
        if best:
            self._save_best(scored, figures["scores"], f"epoch {epoch}")
        self._save_last()
        print(f"epoch {epoch}/{self.epochs}: loss {loss:.3f}, dev EER {figures['dev_eer']:.2%}{' (best)' if best else ''}, "
              f"{seconds:.0f} s, about {seconds * (self.epochs - epoch) / 60:.0f} min left", flush=True)

    def _score_dev(self, model: nn.Module) -> dict:
        model.eval()
        description = {"n_samples": N_SAMPLES, "calibration": None}
        scores = score_store(engine_from_model(model, description), self.dev, progress=False)
        genuine = self.dev_is_bonafide
        spread = [np.logaddexp(0, -scores[genuine]).mean(), np.logaddexp(0, scores[~genuine]).mean()]
        return {"scores": scores, "dev_loss": float(np.mean(spread)), "dev_eer": eer(scores[genuine], scores[~genuine])[0]}

    def _save_best(self, model: nn.Module, dev_scores: np.ndarray, which: str) -> None:
        corpus = self.train.info["corpus"]
        decision = decide(dev_scores, self.dev_is_bonafide)
        save_checkpoint(self.run_dir / "best.pt", {
            "format": 1, "architecture": self.args["architecture"], "config": self.config,
            "state_dict": {name: value.detach().cpu().clone() for name, value in model.state_dict().items()},
            "label_order": ["spoof", "bonafide"], "n_samples": N_SAMPLES, "sample_rate": SAMPLE_RATE, **decision,
            "audio": describe_audio(self.train),
            "trained_on": {"corpus": corpus["name"], "description": corpus["description"], "demo": corpus["demo"],
                           "utterances": len(self.train), "seed": self.seed,
                           "attacks": sorted({row.attack for row in self.train.rows} - {"-"})},
            "args": self.args, "history": self.history, "environment": environment(),
            "origin": f"trained from scratch with aasist_training.py, run {self.name}, {which}, chosen by dev EER"})

    def _save_last(self) -> None:
        save_state(self.run_dir / "last.pt", {
            "args": self.args, "history": self.history, "model": self.model.state_dict(),
            "average": self.average.state_dict(), "optimizer": self.optimizer.state_dict()})
        write_history(self.results_dir / "history.csv", self.history)
