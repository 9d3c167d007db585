"""The two files that describe a folder of copies: settings.json and trials.tsv."""
from pathlib import Path

from utils.common.errors import InputError
from utils.common.files import atomic_write, read_json, write_json
from utils.common.provenance import environment
from utils.synthesis.copies.clips import Clip
from utils.synthesis.copies.production import Setting
from utils.synthesis.vocoders.catalogue import Spec

COLUMNS = ("utterance", "speaker", "key", "attack", "original")


def remember(setting: Setting, wanted: list[Spec]) -> list[str]:
    """Record the settings of the output in settings.json; returns its attacks.

    Raises `InputError` if the output was made with other settings.
    """
    path = setting.output / "settings.json"
    fixed = {"input": str(setting.source.resolve()), "seed": setting.seed,
             "max_seconds": setting.max_seconds}
    before = read_json(path) if path.is_file() else {"attacks": {}, **fixed}
    if changed := [name for name in fixed if before.get(name) != fixed[name]]:
        raise InputError(f"{setting.output} was made with another {' and '.join(changed)} "
                         f"({before.get(changed[0])}): choose another --output, or delete this one")
    attacks = {name: digest for name, digest in before["attacks"].items()
               if (setting.output / "spoof" / name).is_dir()}
    for spec in wanted:
        if attacks.setdefault(spec.attack, spec.sha256) != spec.sha256:
            raise InputError(f"{setting.output} has copies by {spec.attack} that were made with "
                             "other weights, another config.json or an earlier version of this "
                             f"step: delete {setting.output / 'spoof' / spec.attack} to make them "
                             "again, rename the file of weights, or choose another --output")
    write_json(path, {**fixed, "attacks": attacks, "environment": environment()})
    return list(attacks)


def write_trials(output: Path, clips: list[Clip], attacks: list[str]) -> dict[str, int]:
    """List every existing file in trials.tsv; returns the number of each key."""
    by_name = {clip.name: clip for clip in clips}
    counts = {"bonafide": 0, "spoof": 0}
    with atomic_write(output / "trials.tsv") as file:
        file.write("\t".join(COLUMNS) + "\n")
        for attack in ("-", *sorted(attacks)):
            key = "bonafide" if attack == "-" else "spoof"
            folder = output / key if attack == "-" else output / key / attack
            for path in sorted(folder.rglob("*.flac")):
                if clip := by_name.get(path.relative_to(folder).with_suffix("").as_posix()):
                    counts[key] += 1
                    row = (path.relative_to(output).as_posix(), clip.speaker, key, attack,
                           clip.source)
                    file.write("\t".join(row) + "\n")
    return counts
