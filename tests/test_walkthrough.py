"""The walkthrough runs from its first cell to its last, and is committed as it ran."""
import json
import re

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

PATH = ROOT / "notebooks" / "walkthrough.ipynb"
LARGEST = 2_000_000     # bytes
LONGEST = 60            # lines of text that one cell prints
SAME = ("feature map ", "→ shape")    # of cells without training and without a model


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell) -> str:
    return "".join(part.text for part in cell.outputs if part.output_type == "stream")


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(PATH, as_version=4)


@pytest.fixture(scope="module")
def executed(committed):
    """The notebook, run now in a kernel of its own."""
    notebook = nbformat.from_dict(json.loads(json.dumps(committed)))
    for cell in code(notebook):
        cell.outputs = []
    client = NotebookClient(notebook, timeout=600, kernel_name="python3",
                            resources={"metadata": {"path": str(PATH.parent)}})
    return client.execute()


def test_it_is_committed_valid_and_small(committed):
    nbformat.validate(committed)
    assert PATH.stat().st_size < LARGEST
    assert [cell.execution_count for cell in code(committed)] == list(
        range(1, len(code(committed)) + 1))


def test_no_output_is_too_long_for_a_screen_or_tells_a_private_path(committed):
    for cell in code(committed):
        assert len(printed(cell).splitlines()) <= LONGEST
        assert not re.search(r"/(root|home|tmp|Users)/", printed(cell))


def test_it_runs_and_shows_what_was_committed(committed, executed):
    """Kinds of outputs everywhere; the very words where no training is behind them."""
    for old, new in zip(code(committed), code(executed)):
        assert [kinds(part) for part in old.outputs if part.output_type != "stream"] == [
            kinds(part) for part in new.outputs if part.output_type != "stream"]
        assert bool(printed(old)) == bool(printed(new))
        if any(words in printed(old) for words in SAME):
            assert without_rounding(printed(new)) == without_rounding(printed(old))


def kinds(output) -> list[str]:
    assert output.output_type != "error"
    return sorted(output.data)


def without_rounding(text: str) -> str:
    """The text without the differences of rounding, such as 1e-07, that it reports."""
    return re.sub(r"\d+e[+-]\d+", "e", text)


def test_its_words_are_short_sentences(committed):
    from tests.test_documents import LONGEST as WORDS, sentences
    text = "\n\n".join(cell.source for cell in committed.cells if cell.cell_type == "markdown")
    assert [found for found in sentences(text) if len(re.findall(r"[\w'’-]+", found)) > WORDS] == []


def test_the_files_that_it_names_exist(committed):
    text = "".join(cell.source for cell in committed.cells if cell.cell_type == "markdown")
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (PATH.parent / link).exists(), link
