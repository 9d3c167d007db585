"""The guide is short, and its pictures show today's figures."""
import xml.etree.ElementTree as ET

import pytest

from tests.benchmarks.docs import drawings, pictures
from tests.benchmarks.results_files import RESULTS, read_rows
from tests.benchmarks.docs.run_guide import GUIDE, commands

TEXT = GUIDE.read_text(encoding="utf-8")


def test_it_has_less_than_four_thousand_words():
    assert len(TEXT.split()) < 4000


def test_what_was_logged_are_commands_of_the_guide():
    """All of them run in tests/training/test_guide_commands.py."""
    log = read_rows(RESULTS / "guide-commands-600-clips.csv")
    assert {row["command"].strip("`") for row in log} <= set(commands(TEXT))


def test_the_pictures_show_todays_figures():
    assert pictures.main(["--check"]) == 0


def test_a_picture_of_other_figures_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pictures, "PICTURES", tmp_path)
    pictures.write_figure(pictures.levels, pictures.FIGURES[pictures.levels])
    picture = tmp_path / "levels.svg"
    assert "levels.svg" not in pictures.out_of_date()
    picture.write_text(picture.read_text().replace("levels-former ", "levels-former 0"))
    assert pictures.main(["--check"]) == 1
    assert "levels.svg is out of date" in capsys.readouterr().err


@pytest.mark.parametrize("draw", [drawings.flow, drawings.aasist])
def test_a_drawing_is_that_of_its_command(draw):
    drawn = draw().svg()
    ET.fromstring(drawn)
    assert (pictures.PICTURES / f"{draw.__name__}.svg").read_text(encoding="utf-8") == drawn
