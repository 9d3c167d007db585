"""Argument types accept what they name and say what they wanted."""
import argparse
import importlib

import pytest

from utils.common.arguments import count, fold, positive, probability, rate, seeds, share
from utils.common.files import ROOT

SCRIPTS = [f"{path.parent.name}.{path.stem}" for path in
           (*sorted((ROOT / "utils").glob("[a-z]*.py")), ROOT / "notebooks/aasist_training.py")]


@pytest.mark.parametrize("kind, text, value", [
    (positive, "1", 1), (count, "0", 0), (rate, "1e-4", 1e-4),
    (probability, "0.05", 0.05), (share, "0", 0.0), (share, "1", 1.0),
    (seeds, "3", [3]), (seeds, "1,0", [1, 0]), (fold, "1/3", (1, 3)), (fold, "5/5", (5, 5))])
def test_a_text_that_fits_becomes_its_value(kind, text, value):
    assert kind(text) == value


@pytest.mark.parametrize("kind, text", [
    (positive, "0"), (positive, "one"), (positive, "1.5"), (count, "-1"), (rate, "0"),
    (rate, "inf"), (rate, "nan"), (probability, "0"), (probability, "1"), (probability, "nan"),
    (share, "1.01"), (share, "nan"), (share, ""), (seeds, "1,1"), (seeds, "1,"),
    (seeds, "-1"), (fold, "0/3"), (fold, "4/3"), (fold, "1/2"), (fold, "1"),
    (fold, "a/b"), (fold, "1/2/3")])
def test_another_text_is_refused_by_name(kind, text):
    with pytest.raises(argparse.ArgumentTypeError, match=" is not | names a seed twice"):
        kind(text)


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_script_takes_an_abbreviated_option(script):
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module(script).build_parser().parse_args(["--hel"])


def test_an_unknown_option_is_answered_with_the_one_it_resembles(capsys):
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module("utils.evaluate_model").build_parser().parse_args(
            ["--checkpoint=x.pt", "--jsn", "--quite_another"])
    assert "(did you mean --checkpoint_dir --json?)" in capsys.readouterr().err


@pytest.mark.parametrize("given, told", [
    (["unpack", "--output", "x.pt", "--bx", "y"], "--bx y (did you mean --box?)"),
    (["pakc"], "invalid choice: 'pakc' (choose from ")])
def test_a_subcommand_answers_like_a_script(given, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module("utils.pack_detector").build_parser().parse_args(given)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("given, told", [
    ("--quantize", ": --quantize (did you mean --quantise?); options of the training follow"),
    ("--learning_rate=1", ": --learning_rate=1; options of the training follow after --\n")])
def test_a_parser_may_end_with_a_hint_after_the_nearest_option(given, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module("utils.compress_model").parse(
            ["--model", "a", "--output", "b", given])
    assert told in capsys.readouterr().err
