"""A data/raw folder with ASVspoof5's own archives, built from real speech."""
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDERS = {"T": "flac_T", "D": "flac_D", "E": "flac_E_eval"}
PROTOCOLS = {"T": "ASVspoof5.train.tsv", "D": "ASVspoof5.dev.track_1.tsv",
             "E": "ASVspoof5.eval.track_1.tsv"}
FIRST_ATTACK = {"T": 1, "D": 9, "E": 17}


@dataclass(frozen=True)
class Line:
    """One protocol line, and what the archives hold for it."""
    partition: str   # "T", "D" or "E"
    speaker: str
    utterance: str
    gender: str
    codec: str
    attack: str      # "bonafide" for bona fide, as ASVspoof5 writes it
    key: str
    part: str | None       # the archive, such as "D_ab"; None where the audio is missing
    clip: Path | None

    def text(self, columns: int = 10) -> str:
        """The line as ASVspoof5 writes it: ten columns, or the six of the older release."""
        start = f"{self.speaker} {self.utterance} {self.gender} {self.codec}"
        if columns == 6:
            return f"{start} {self.attack} {self.key}"
        tag = "-" if self.key == "bonafide" else "AC1"
        return f"{start} - - {tag} {self.attack} {self.key} -"


def plan_lines(partition: str, parts: list[str], clips: dict[str, list[Path]], speakers: int,
               utterances: int, absent: int, attacks: int) -> list[Line]:
    """One partition's protocol: `utterances` per speaker, bona fide and spoof in turn.

    `absent` more lines name utterances without audio.
    """
    lines = []
    for number in range(speakers * utterances + absent):
        speaker = number % speakers
        turn = number // speakers
        key, attack = "bonafide", "bonafide"
        if turn % 2:
            key = "spoof"
            attack = f"A{FIRST_ATTACK[partition] + (speaker + turn // 2) % attacks:02}"
        codec = "C05" if partition == "E" and number % 3 == 0 else "-"
        part, clip = None, None
        if number < speakers * utterances:
            part, clip = parts[number % len(parts)], clips[key][number % len(clips[key])]
        lines.append(Line(partition, f"{partition}_{speaker + 1:04}",
                          f"{partition}_{number * 7 + 1:010}", "MF"[speaker % 2], codec, attack,
                          key, part, clip))
    return lines


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """An uncompressed (or, by its name, gzip) archive as GNU tar writes it, in the given order."""
    mode = "w:gz" if path.suffix == ".gz" else "w"
    with tarfile.open(path, mode, format=tarfile.GNU_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
                info.mode = 0o755
            info.size = len(content)
            info.mtime = 1_700_000_000
            archive.addfile(info, io.BytesIO(content))
            archive.members.clear()     # tarfile would keep them all


def write_protocols(path: Path, lines: Iterable[Line], folder: str = "",
                    columns: int = 10) -> None:
    """ASVspoof5_protocols.tar.gz with the tables of `lines`, at its root or below `folder`."""
    tables: dict[str, list[str]] = {partition: [] for partition in "TDE"}
    for line in lines:
        tables[line.partition].append(line.text(columns))
    write_tar(path, [(folder + PROTOCOLS[partition], ("\n".join(table) + "\n").encode())
                     for partition, table in tables.items() if table])


def build_raw(raw_dir: Path, clips: dict[str, list[Path]], parts: tuple[str, ...] = ("D_ab",),
              speakers: int = 6, utterances: int = 6, absent: int = 0, attacks: int = 4,
              folder: str = "") -> list[Line]:
    """Write the protocol archive and a flac_<part>.tar for each of `parts`; returns the lines.

    `absent` lines per partition name utterances without audio. Every archive also holds one
    enrolment file.
    """
    raw_dir.mkdir(parents=True, exist_ok=True)
    lines = []
    for partition in dict.fromkeys(part[0] for part in parts):
        own = [part for part in parts if part[0] == partition]
        lines += plan_lines(partition, own, clips, speakers, utterances, absent, attacks)
    write_protocols(raw_dir / "ASVspoof5_protocols.tar.gz", lines, folder)
    for number, part in enumerate(parts):
        home = FOLDERS[part[0]] + "/"
        members = [(f"{home}{line.utterance}.flac", line.clip.read_bytes())
                   for line in lines if line.part == part]
        enrolment = (f"{home}{part[0]}_A{number:010}.flac", clips["bonafide"][0].read_bytes())
        write_tar(raw_dir / f"flac_{part}.tar", [(home, b""), *members, enrolment])
    return lines
