"""The tour: its network is right, its counts are right, and its page needs nothing but itself."""

import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rectified as rf
from rectified import benchmark

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from rectified.health.report import Report
from rectified.health.text import as_text
from rectified.tour import digits, experiments, page, sections, write_tour
from rectified.tour.network import Network, cross_entropy, train

NAMES = list(experiments.ACTIVATIONS)


def _problem(dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    return (rng.standard_normal((60, 5)) + 2 * np.eye(3, 5)[labels]).astype(dtype), labels


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences(name: str) -> None:
    x, labels = _problem()
    network = Network([5, 6, 4, 3], rf.catalogue[name], seed=1, dtype=np.float64)  # type: ignore[arg-type]
    for layer in network.layers:
        layer.bias[:] = np.random.default_rng(2).normal(0, 0.1, layer.bias.shape)
    _, gradients = network.gradients(x, labels)
    step = 1e-6
    for layer, gradient in zip(network.layers, gradients, strict=True):
        for numbers, found in zip(layer, gradient, strict=True):
            expected = np.empty_like(numbers)
            for place in np.ndindex(numbers.shape):
                losses = []
                for change in (step, -step):
                    numbers[place] += change
                    losses.append(network.gradients(x, labels)[0])
                    numbers[place] -= change
                expected[place] = (losses[0] - losses[1]) / (2 * step)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_cross_entropy_is_right_and_does_not_overflow() -> None:
    loss, derivative = cross_entropy(np.array([[0.0, 0.0], [0.0, 1000.0]]), np.array([0, 1]))
    assert loss == pytest.approx(np.log(2) / 2)
    np.testing.assert_allclose(derivative, [[-0.25, 0.25], [0.0, 0.0]])


@pytest.mark.parametrize("name", NAMES)
def test_loss_goes_down(name: str) -> None:
    x, labels = _problem("float32")
    network = Network([5, 16, 3], rf.catalogue[name], seed=1)  # type: ignore[arg-type]
    losses = list(train(network, x, labels, epochs=30, learning_rate=0.1, seed=2))
    assert losses[-1] < 0.6 * losses[0]
    assert network.accuracy(x, labels) > 0.8
    assert all(layer.weights.dtype == np.float32 for layer in network.layers)


def test_a_clipped_step_is_no_longer_than_allowed() -> None:
    x, labels = _problem()
    network = Network([5, 8, 3], rf.relu, seed=1, dtype=np.float64)
    before = np.concatenate([numbers.ravel().copy() for layer in network.layers for numbers in layer])
    next(train(network, x, labels, epochs=1, learning_rate=0.5, seed=2, batch=len(x), clip=0.01))
    after = np.concatenate([numbers.ravel() for layer in network.layers for numbers in layer])
    assert np.linalg.norm(after - before) == pytest.approx(0.5 * 0.01)


def _dead(network: Network, x: np.ndarray) -> list[np.ndarray]:
    return [seen.max_slope == 0 for seen in network.evidence(x)]


def test_planted_dead_units_are_found() -> None:
    x, _ = _problem()
    network = Network([5, 40, 30, 3], rf.relu, seed=1, dtype=np.float64)
    assert not any(dead.any() for dead in _dead(network, x))
    network.layers[0].bias[[3, 7]] = -1e3
    network.layers[1].bias[[0, 4, 29]] = -1e5
    first, second = _dead(network, x)
    assert np.flatnonzero(first).tolist() == [3, 7]
    assert np.flatnonzero(second).tolist() == [0, 4, 29]
    network.activation = rf.leaky_relu
    assert not any(dead.any() for dead in _dead(network, x))


def test_one_living_image_keeps_a_unit_alive() -> None:
    network = Network([1, 1, 2], rf.relu, seed=0)
    network.layers[0].weights[:] = 1.0
    x = np.full((100, 1), -1.0, np.float32)
    assert _dead(network, x)[0].all()
    x[42] = 1.0
    assert not _dead(network, x)[0].any()


def test_planted_dead_pieces_of_maxout_are_found() -> None:
    x, _ = _problem()
    network = Network([5, 4, 3], rf.maxout, seed=1, dtype=np.float64)
    before = _dead(network, x)[0]
    assert before.shape == (8,)
    network.layers[0].bias[[2, 5]] = -1e3
    after = _dead(network, x)[0]
    assert after[[2, 5]].all()
    assert not after[[3, 4]].any()  # a group always has a piece that lives


def test_digits_are_split_without_overlap_or_loss() -> None:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    data = digits.load()
    together = np.concatenate([images for images, _ in data])
    pixels = np.rint(16 * (together - together.min()) / np.ptp(together))
    with_labels = np.column_stack([pixels, np.concatenate([labels for _, labels in data])])
    source = load_digits()
    expected = np.column_stack([source.data, source.target])
    assert sorted(map(tuple, with_labels)) == sorted(map(tuple, expected))
    assert data.train.images.mean() == pytest.approx(0, abs=1e-5)
    assert data.train.images.std() == pytest.approx(1, abs=1e-5)


def test_networks_are_of_one_size() -> None:
    for plan in (experiments.Plan(), experiments.QUICK):
        counts = {
            name: Network(experiments.sizes(name, plan), experiments.ACTIVATIONS[name], seed=0).size for name in NAMES
        }
        assert max(counts.values()) / min(counts.values()) < 1.05
        assert counts["relu"] == counts["tanh"]


def test_the_same_seed_gives_the_same_run() -> None:
    data = digits.load()
    plan = experiments.Plan(units=12, epochs=2, seeds=(1,), mortal=("relu",))
    first, second = (experiments.kill(data, plan, lambda step, share: None) for _ in range(2))
    np.testing.assert_array_equal(first.clipped["relu"][0].losses, second.clipped["relu"][0].losses)
    np.testing.assert_array_equal(first.clipped["relu"][0].dead, second.clipped["relu"][0].dead)


def test_without_scikit_learn_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r'^the tour needs .*: pip install "rectified\[tour\]"$'):
        digits.load()
    with pytest.raises(ImportError, match=r'^the tour needs .*: pip install "rectified\[tour\]"$'):
        write_tour(tmp_path)
    assert not list(tmp_path.iterdir())


def test_small_numbers_are_readable() -> None:
    assert sections.scientific(0.25**10) == "9.5 × 10⁻⁷"
    assert sections.scientific(0.0) == "0"
    assert sections.scientific(0.25) == "0.25"


@pytest.mark.parametrize(("slower", "remarks"), [(1.4, False), (1.6, True)])
def test_a_limit_that_varies_is_remarked(slower: float, remarks: bool) -> None:
    run = benchmark.run([rf.relu, rf.sigmoid], sizes=(100,), peers=[], seconds=0.0001)
    first, second = (
        next(r for r in run.results if (r.function, r.peer) == (name, "rectified")) for name in ("relu", "sigmoid")
    )
    results = [replace(first, seconds=1e-6, to_limit=1.0), replace(second, seconds=slower * 1e-6, to_limit=1.0)]
    assert ("not steady" in sections.unsteady(replace(run, results=results))) == remarks


def test_a_session_shows_what_the_lines_return() -> None:
    html = page.session(["import rectified as rf", "rf.relu(-1.0) < 1  # true"])
    assert "<span" in html
    assert ">np.True_<" in html
    assert "rf.relu(-1.0) &lt; 1" in html


def test_text_in_tables_is_escaped() -> None:
    html = page.table(("<a>",), [("<b>", "&")], caption="<c>")
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert "&amp;" in html


class _Page(HTMLParser):
    """Checks that tags close, and collects what the page would load, its ids and its text."""

    VOID = frozenset({"meta", "img", "source", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found: dict[str, Any] = dict(attrs)
        self.loads += [found[key] for key in ("src", "srcset", "data", "poster") if key in found]
        self.links += [found["href"]] if "href" in found else []
        self.ids += [found["id"]] if "id" in found else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "pre"} & set(self.open):
            self.text += data


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, float]]]:
    steps: list[tuple[str, float]] = []
    index = write_tour(
        tmp_path_factory.mktemp("tour") / "new", quick=True, report=lambda step, share: steps.append((step, share))
    )
    return index, steps


def test_the_page_is_complete_and_needs_nothing_else(tour: tuple[Path, list[tuple[str, float]]]) -> None:
    index, _ = tour
    assert index.name == "index.html"
    html = index.read_text(encoding="utf-8")
    found = _Page(html)
    assert not found.open
    assert [each for each in found.ids if each in ("relu", "speed", "saturation", "learning", "death")] == [
        "relu",
        "speed",
        "saturation",
        "learning",
        "death",
    ]
    assert len(found.ids) == len(set(found.ids))
    assert found.loads
    assert all(each.startswith("data:image/svg+xml;base64,") for each in found.loads)
    assert all(each.startswith("#") and each[1:] in found.ids for each in found.links)
    assert not {"script", "link", "iframe"} & found.tags
    assert "@import" not in html
    assert "url(" not in html.split("</style>")[0]
    assert "prefers-color-scheme" in html
    assert 'name="viewport"' in html


def test_the_page_states_what_was_measured(tour: tuple[Path, list[tuple[str, float]]]) -> None:
    html = tour[0].read_text(encoding="utf-8")
    text = _Page(html).text
    assert not re.search(r"\b(nan|inf|None)\b", text)
    assert set(re.findall(r".?\{.?", text)) <= {"={1"}  # no field that nobody filled in, only a formula's brace
    for number in range(-10, 11):
        series = f"\n{number}{max(0, number)}{int(number > 0)}{number if number > 0 else 0.1 * number:g}"
        assert series.replace("-", "−") in text
    again = experiments.kill(digits.load(), experiments.QUICK, lambda step, share: None)
    for runs in again.clipped.values():
        assert sections.spread([run.accuracy for run in runs]) in text
        assert sections.percent(float(np.mean([run.dead[-1].mean() for run in runs]))) in text
    assert escape(as_text(Report.of([again.clipped["relu"][0].health]), width=100)) in html
    for runs in again.clipped.values():
        totals = [Report.of([run.health]).totals for run in runs]
        dead, alive = (sum(getattr(each, state) for each in totals) for state in ("dead", "alive"))
        units = sum(each.units for each in totals)
        assert re.search(f">{sections.percent(dead / units)}<.*>{sections.percent(alive / units)}<", html)


def test_the_pictures_stand_beside_the_page(tour: tuple[Path, list[tuple[str, float]]]) -> None:
    files = sorted((tour[0].parent / "pictures").iterdir())
    assert len(files) == 2 * 13
    for path in files:
        root = ET.fromstring(path.read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not [child for child in root.iter() if child.tag.endswith("image")]
    light, dark = (path.read_text(encoding="utf-8") for path in files if path.stem in ("relu", "relu-dark"))
    assert light != dark


def test_progress_goes_from_nothing_to_all(tour: tuple[Path, list[tuple[str, float]]]) -> None:
    steps = tour[1]
    shares = [share for _, share in steps]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert len(steps) > 30
    assert all(isinstance(step, str) and step for step, _ in steps)
