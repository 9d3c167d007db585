"""Hostile and broken archives, protocols, checkpoints and models, each with what the real script
must make of it.

    stuff = material(folder)
    for case in cases():
        print(case.group, case.name, run(case, stuff, some_empty_folder))     # outcome, sentence
"""
from tests.helpers.hostile import archives, models, protocols
from tests.helpers.hostile.case import ACCEPTED, REFUSED, Case, material, run

__all__ = ["ACCEPTED", "REFUSED", "cases", "material", "run"]


def cases() -> list[Case]:
    """All of them: tar, gzip and zip archives, protocols, checkpoints, ONNX models."""
    return [*archives.cases(), *protocols.cases(), *models.cases()]
