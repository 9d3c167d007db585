"""The documents: short README, plain sentences, current tables; links, files, options exist."""
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from tests.benchmarks.docs.tables import DOCUMENTS, main
from utils.common.files import ROOT

FOREIGN = {"--help", "--index-url", "--inplace", "--nproc_per_node", "--nnodes", "--rdzv_endpoint",
           "--rdzv_backend", "--model-module", "--datasets"}
LONGEST = 25            # words of a sentence
FOLDERS = ("data", "models", "notebooks", "results", "tests", "utils")
MADE = ("data/raw", "data/protocols", "data/processed", "models/checkpoints", "results")
CODE = "".join(path.read_text(encoding="utf-8")
               for folder in ("models", "notebooks", "tests", "utils")
               for path in sorted((ROOT / folder).rglob("*.py"))
               if path.name != Path(__file__).name)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def sentences(text: str) -> list[str]:
    """The sentences of a document, without code blocks and tables; code in a line is one word."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^(\||\[\w+\]:|    ).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`\n]*`", "code", text))
    blocks = re.split(r"\n\s*\n|^#.*$|^\s*(?:-|\d+\.) ", text, flags=re.MULTILINE)
    ends = r"(?<=[.!?:;])\s+(?=[^a-z]|code)|(?<=;)\s"
    return [sentence for block in blocks
            for sentence in re.split(ends, " ".join(block.split()))]


def test_the_tables_are_those_of_the_csv_files():
    assert main(["--check"]) == 0


def test_the_readme_is_short():
    lines = text_of("README.md").splitlines()
    assert len(lines) <= 150
    assert sum(len(line.split()) for line in lines) <= 1500
    assert [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_sentences_are_short(name):
    found = sentences(text_of(name))
    assert [text for text in found if len(re.findall(r"[\w'’-]+", text)) > LONGEST] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    folder = (ROOT / name).parent
    text = text_of(name)
    links = re.findall(r"\]\(([^)\s]+)\)|^\[\w+\]: (\S+)$", text, flags=re.MULTILINE)
    for link in filter(None, (first or second for first, second in links)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = folder / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link
    references = set(re.findall(r"\]\[(\w+)\]", text))
    assert references == {second.partition("]")[0][1:] for second in
                          re.findall(r"^(\[\w+\]:)", text, flags=re.MULTILINE)}


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_named_files_and_options_exist(name):
    text = text_of(name)
    for path in re.findall(rf"(?<![\w./-])((?:{'|'.join(FOLDERS)})/[\w./-]*\w)", text):
        assert path.startswith(MADE) or (ROOT / path).exists(), path
    for option in set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text)) - FOREIGN:
        assert f'"{option}"' in CODE, option


def commands_of(text: str) -> list[list[str]]:
    """The commands of a document that run a step: its file, and the arguments."""
    found = re.findall(r"python ((?:utils|notebooks)/\w+\.py(?: [^`|#\n]*?)?)(?:`|  #|  |\n|;)",
                       re.sub(r"\\\n\s*", "", text))
    return [shlex.split(command) for command in found]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_commands_of_steps_are_understood(name):
    """By the parser of the step; words in place of a choice or a number would not be."""
    for script, *arguments in commands_of(text_of(name)):
        step = import_module(script.removesuffix(".py").replace("/", "."))
        step.build_parser().parse_args(arguments)

