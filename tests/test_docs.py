"""What the documentation says: its examples run, and its tables are those of the measurements."""

import doctest
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import figures
import rectified as rf
import sweep

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.rst"))]
EXAMPLES = [page for page in PAGES if ">>>" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.stem)
def test_examples_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("```", "")  # a fence ends an output
    example = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    output: list[str] = []
    failed, _ = doctest.DocTestRunner().run(example, out=output.append)
    assert not failed, "".join(output)


def test_readme_has_examples() -> None:
    assert ROOT / "README.md" in EXAMPLES


@pytest.mark.parametrize(
    "name", ["functions", "accuracy in short", "known accuracy beside others", "known speed at 1000000", "conditions"]
)
def test_readme_shows_what_was_measured(name: str) -> None:
    readme = figures.README.read_text(encoding="utf-8")
    assert f"<!-- {name} -->\n\n{figures.text(name)}\n\n<!-- end -->" in readme, "run python tools/figures.py"


@pytest.fixture(scope="module")
def pages() -> Any:
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    yield pytest.importorskip("catalogue_pages")
    sys.path.remove(str(ROOT / "docs" / "_ext"))


@pytest.mark.parametrize("fold", rf.catalogue.of("fold").values(), ids=lambda fold: fold.name)
def test_the_values_of_a_fold_are_one_block(pages: Any, fold: Any) -> None:
    core, nodes = pytest.importorskip("docutils.core"), pytest.importorskip("docutils.nodes")
    document = core.publish_doctree("\n".join(pages.values(fold)))
    (block,) = document.findall(nodes.literal_block)
    assert block.astext().endswith(repr(fold.derivative(np.array([[-1.0, 3.0], [2.0, 2.0]]))))
    assert not list(document.findall(nodes.doctest_block))


def test_readme_says_what_is_a_sample_and_shows_no_broken_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert figures.broken() == []
    figure = {"float32": {"ulp": 2, "input": 1.0, "stride": 1009}, "float64": {"ulp": 2, "input": 1.0, "stride": None}}
    monkeypatch.setattr(sweep, "recorded", lambda: {"tanh": {"value": figure}})
    assert figures.broken() == ["tanh, value, float32: 2 ULP, and 1 are promised"]
    rows = figures.accuracy_in_short().splitlines()
    assert "| float32 | 2 (1 functions, partly a sample) |  |  |  |" in rows
    assert "| float64 | 2 (1 functions) |  |  |  |" in rows
