"""The page: what it holds, and what a browser makes of it. Without Chromium, what needs a browser is skipped."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rectified as rf
from planted import BACK, DEAD, DIED, SATURATED, planted
from rectified.cli import main
from rectified.health import Evidence, Run
from rectified.health.html import page
from rectified.health.report import Report
from rectified.health.store import Writer
from rectified.health.text import as_text

EVIL = """</script><img src=x onerror="document.title='broken'"><b title='"'>&lt;&amp;"""
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


def evil() -> Run:
    run = planted(name=EVIL)
    run.notes.append(EVIL)
    run.layers[EVIL].note = EVIL
    run.layers[EVIL].feeds_loss = EVIL
    return run


class Page(HTMLParser):
    """Checks that tags close, and collects tags, attributes and text."""

    VOID = frozenset({"meta", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.attributes |= found.keys()
        self.ids += [str(found["id"])] if "id" in found else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_needs_nothing_but_itself() -> None:
    text = page(Report.of([planted()]))
    found = Page(text)
    assert not found.open
    assert len(found.ids) == len(set(found.ids))
    assert not {"link", "img", "iframe", "object"} & set(found.tags)
    assert not {"src", "srcset", "data", "action"} & found.attributes
    assert set(re.findall(r"https?://[^\s\"')]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_every_name_is_text() -> None:
    harmless = Page(page(Report.of([evil()])).replace(EVIL, ""))
    found = Page(page(Report.of([evil()])))
    assert not found.open
    assert found.tags == harmless.tags
    assert "onerror" not in found.attributes
    assert found.texts.count(EVIL) >= 2  # the layer in the overview, and in a finding
    embedded = next(text for text in found.texts if text.startswith('{"states"'))
    assert json.loads(embedded)["layers"][0]["name"] == EVIL


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Writer(tmp_path / "data").write([planted()])
    assert main(["html", "--data-file", str(tmp_path / "data"), "--out", str(tmp_path / "a" / "page")]) == 0
    index = tmp_path / "a" / "page" / "index.html"
    assert capsys.readouterr().out == f"The report is at {index.as_uri()}\n"
    assert index.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert main(["html", "--data-file", str(tmp_path / "data"), "--out", str(tmp_path / "data")]) == 2
    assert capsys.readouterr().err == f"rectified: cannot write {tmp_path / 'data'}: File exists\n"


def test_shares_are_exact_at_both_ends() -> None:
    from rectified.health.html import _coded

    shares = np.array([0.0, 1e-9, 0.5, 1 - 1e-9, 1.0, np.nan])
    assert _coded(shares).tolist() == [0, 1, 127, 253, 254, 255]


# ---- in a browser ----------------------------------------------------------------------------------------------------

TOOLS = """
const one = (selector) => document.querySelector(selector), all = (selector) => [...document.querySelectorAll(selector)];
const texts = (selector) => all(selector).map((each) => each.textContent);
const units = () => all("#space .row").map((row) => Number(row.dataset.unit));
const until = async (ready) => {
  for (let i = 0; i < 100 && !ready(); i++) await new Promise((done) => setTimeout(done, 50));
};
const button = (selector, text) => all(selector).find((each) => each.textContent.startsWith(text)).click();
"""


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., Any]:
    """Opens the page of a run, runs a script in it, and gives what that returns."""

    def browse(run: Run, script: str, fragment: str = "", *options: str) -> Any:
        assert CHROMIUM is not None
        path = tmp_path / "index.html"
        wanted = f"{TOOLS}\nconst told = document.createElement('pre');\ntold.id = 'told';\n" + (
            f"(async () => {{ {script} }})().catch((error) => String(error)).then((found) => {{\n"
            "told.textContent = JSON.stringify(found); document.body.append(told); });"
        )
        path.write_text(page(Report.of([run])).replace("</body>", f"<script>{wanted}</script></body>"), encoding="utf-8")
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        command += [
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1200,900",
            "--virtual-time-budget=20000",
            *options,
        ]
        command += ["--dump-dom", path.as_uri() + fragment]
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # a sanitizer
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment)
        told = re.search('<pre id="told">(.*?)</pre>', ran.stdout, re.DOTALL)
        assert told, ran.stderr
        return json.loads(unescape(told[1]))

    return browse


@in_browser
def test_a_click_shows_the_history_of_a_unit(browse: Callable[..., Any]) -> None:
    died, back = DIED[0], BACK[0]
    found = browse(
        planted(),
        f"""
        const before = one("#unit").hidden, list = one("#list");
        list.scrollTop = 0;
        one("#space .row[data-unit='{died}']").click();
        const shown = {{
          before, after: one("#unit").hidden, title: one("#unit h3").textContent, text: one("#unit p").textContent,
          rows: all("#unit tbody tr").length, silent: all("#unit .silent").length, lines: all("#unit path").length,
          firing: texts("#unit tbody tr > :nth-child(3)"), address: location.hash,
          selected: all("[aria-selected=true]").map((row) => row.dataset.unit),
        }};
        list.dispatchEvent(new KeyboardEvent("keydown", {{key: "ArrowDown"}}));
        one("#find").value = "{back}";
        one("#find").dispatchEvent(new Event("input"));
        one("#space .row").click();
        return {{...shown, back: one("#unit p").textContent}};
        """,
    )
    assert found["before"] is True
    assert found["after"] is False
    assert found["title"] == f"Unit {died} of layer net.1"
    assert found["text"].startswith("dead since step 120. In steps 152 to 199: fired on 0%, mean output 0, ")
    assert (found["rows"], found["silent"], found["lines"]) == (50, 20, 2)
    assert found["firing"][30:] == 20 * ["0%"]
    assert "0%" not in found["firing"][:30]
    assert found["address"] == f"#layer=0&unit={died}"
    assert found["selected"] == [str(died)]
    assert found["back"].startswith("alive; silent from step 60, came back at step 100.")


@in_browser
def test_units_are_filtered_sorted_and_coloured(browse: Callable[..., Any]) -> None:
    run = planted()
    relu = Report.of([run]).layers[0]
    found = browse(
        run,
        """
        const colours = (strip) => new Set(strip.style.background.match(/rgb[^)]*[)]/g)).size;
        const found = {filters: texts("#states button")};
        button("#states button", "dead");
        found.dead = units();
        found.words = texts("#space .word");
        found.strips = all("#space .strip").map(colours);
        one("#find").value = "7-9, 12";
        one("#find").dispatchEvent(new Event("input"));
        found.named = units();
        one("#find").value = "";
        one("#find").dispatchEvent(new Event("input"));
        button("#states button", "all");
        button("#head button", "firing");
        found.least = units().slice(0, 8);
        button("#head button", "firing");
        found.most = units().slice(0, 3);
        found.order = one("#head [aria-sort]").getAttribute("aria-sort");
        button("#layers tbody a", "net.3");
        await until(() => one("#layer h2").textContent === "net.3");
        found.layer = one("#layer h2").textContent;
        found.colour = one("#colour").value;
        button("#states button", "saturated");
        found.saturated = units();
        button("#layers thead button", "alive");
        found.layers = texts("#layers tbody th");
        return found;
        """,
    )
    assert found["filters"] == ["all 64", "alive 57", "dead 6", "linear 1", "came back 1"]
    assert found["dead"] == sorted(DEAD + DIED)
    assert found["words"] == ["dead", "dead", "dead", "dead", "dead 120", "dead 120"]
    assert found["strips"][:4] == [1, 1, 1, 1]  # one colour, and the others had more before
    assert min(found["strips"][4:]) > 2
    assert found["named"] == [7, 8, 9, 12]
    order = np.argsort(relu.firing, kind="stable")
    assert found["least"] == order[:8].tolist()
    assert found["most"] == np.argsort(-relu.firing, kind="stable")[:3].tolist()
    assert found["order"] == "descending"
    assert found["layer"] == "net.3"
    assert found["colour"] == "slope"  # for a sigmoid always fires
    assert found["saturated"] == SATURATED
    assert found["layers"] == ["net.3", "net.1"]


@in_browser
def test_no_name_does_anything_in_a_browser(browse: Callable[..., Any]) -> None:
    found = browse(
        evil(),
        "one('#space .row').click(); return [document.title, one('#layer h2').textContent, one('#unit h3').textContent, "
        "texts('#notes li'), all('img').length];",
    )
    title, layer, unit, notes, images = found
    assert title == "Which units can still learn"
    assert (layer, unit) == (EVIL, f"Unit 0 of layer {EVIL}")
    assert notes == [EVIL, f"{EVIL}: {EVIL}"]
    assert images == 0


@in_browser
def test_ten_thousand_units_are_no_burden(browse: Callable[..., Any]) -> None:
    run = Run()
    rng = np.random.default_rng(0)
    for step in range(64):
        x = rng.normal(size=(8, 10_000))
        x[:, 9_990:] = -1
        x[0, 0] = 1 if step == 9 else -1  # once is too rarely for a verdict
        x[1:, 0] = -1
        run.layer("wide", "relu", 10_000).add(Evidence.of(rf.relu, x, step=step))
    found = browse(
        run,
        """
        const rows = units().length, list = one("#list"), first = texts("#space .word")[0];
        const scrolled = () => list.dispatchEvent(new Event("scroll"));  // there are no frames to send it
        list.scrollTop = list.scrollHeight;
        scrolled();
        const map = one("#map");
        const dot = map.getContext("2d").getImageData(0, 2, map.width, 1).data;
        const end = units().at(-1);
        map.dispatchEvent(new MouseEvent("click", {clientY: map.getBoundingClientRect().top + map.clientHeight / 2}));
        scrolled();
        return {rows, first, end, elements: all("*").length, middle: units()[0], filters: texts("#states button"),
                colours: new Set(dot).size};
        """,
        "#layer=0",
    )
    assert found["rows"] < 60
    assert found["first"] == "silent"
    assert found["end"] == 9_999
    assert 4_900 < found["middle"] < 5_100
    assert found["elements"] < 1_000
    assert found["filters"] == ["all 10,000", "alive 9,990", "dead 10"]
    assert found["colours"] > 10  # the map is drawn: units that fire differ


@in_browser
def test_the_address_tells_the_view_and_darkness_is_heeded(browse: Callable[..., Any]) -> None:
    script = """
        const channels = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);
        return {light: channels[0] > 127, unit: one("#unit h3").textContent, shown: units(),
                strip: one("#space .strip").style.background.match(/rgb[^)]*[)]/)[0]};
    """
    fragment = "#layer=1&state=saturated&sort=-unit&unit=7&colour=firing"
    light = browse(planted(), script, fragment)
    dark = browse(planted(), script, fragment, "--blink-settings=preferredColorScheme=0")
    assert light["unit"] == dark["unit"] == "Unit 7 of layer net.3"
    assert light["shown"] == SATURATED[::-1]
    assert light["light"]
    assert not dark["light"]
    assert light["strip"] != dark["strip"]


@in_browser
def test_a_network_without_units_is_a_page_too(browse: Callable[..., Any]) -> None:
    assert browse(Run(), "return texts('.lead');") == ["0 units in 0 layers; nothing was seen."]


def test_odd_layers_are_shown_too() -> None:
    run = Run()
    for name, x in (("no units", np.ones((3, 0))), ("nan", np.full((3, 2), np.nan)), ("none", np.ones((0, 2)))):
        for function in ("relu", "squared_relu", "step"):
            run.layer(f"{name} {function}", function, x.shape[1]).add(Evidence.of(rf.catalogue[function], x, gradient=x))
    report = Report.of([run])
    assert report.totals == (12, 0, 0, 0, 12)
    assert not Page(page(report)).open
    assert json.loads(report.as_json())["totals"]["alive_percent"] is None
    assert as_text(report)


@in_browser
def test_a_narrow_screen_shows_the_verdicts_of_the_worst_layer(browse: Callable[..., Any]) -> None:
    run = planted()
    worse = run.layer("worse", "relu", 4)
    worse.add(Evidence.of(rf.relu, [[-1.0, -1.0, -1.0, 1.0], [-1.0, -1.0, -1.0, -1.0]]))
    script = """
        const table = one("#layers .scroll");
        const shown = all("#layers thead th").filter((each) => each.offsetWidth > 0).map((each) => each.textContent.trim());
        return {layer: one("#layer h2").textContent, fits: table.scrollWidth <= table.clientWidth, shown};
    """
    found = browse(run, script, "", "--window-size=500,900")
    assert found == {"layer": "worse", "fits": True, "shown": ["layer", "dead", "saturated", "linear", "alive"]}
