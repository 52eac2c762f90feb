"""A run in words: times, ratios, tables."""

from __future__ import annotations

from collections.abc import Sequence

from rectified.benchmark.measure import Result, Run


def duration(seconds: float) -> str:
    """A time to three digits, in the unit that suits it.

    Examples
    --------
    >>> duration(1.234e-5)
    '12.3 µs'
    """
    units = (("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9))
    unit, scale = next(((unit, scale) for unit, scale in units if seconds * scale >= 0.9995), units[-1])
    return f"{seconds * scale:#.3g}".rstrip(".") + f" {unit}"


def ratio(number: float) -> str:
    """A ratio, to two decimals where it is small.

    Examples
    --------
    >>> ratio(1.234), ratio(43.21)
    ('1.23×', '43×')
    """
    return f"{number:.2f}×" if number < 9.995 else f"{number:.0f}×"


def markdown(run: Run) -> str:
    """A run as Markdown tables: every time with its ratio to the limit, the fastest in bold.

    Parameters
    ----------
    run : Run
        For instance ``Run.from_json(text)`` of what ``rectified bench --json`` wrote.

    Returns
    -------
    str
        The tables, and a line that says where they were measured.
    """
    lines: list[str] = []
    if run.results:
        peers = list(dict.fromkeys(result.peer for result in run.results))
        rows: dict[tuple[str, str, int], dict[str, Result]] = {}
        for result in run.results:
            rows.setdefault((result.function, result.kind, result.size), {})[result.peer] = result
        lines += [_row(["function", "", "elements", *peers]), _row(["---", "---", *["--:"] * (len(peers) + 1)])]
        for (function, kind, size), row in rows.items():
            fastest = min((row[peer] for peer in row if peer != "limit"), key=lambda result: result.seconds)
            cells = [_markdown_cell(row.get(peer), row.get(peer) is fastest) for peer in peers]
            lines.append(_row([function, kind.replace("_", " "), f"{size:,}", *cells]))
        first = run.results[0]
        lines += ["", f"{first.dtype}; in brackets the ratio to the limit: a copy (value) or a product (backward).", ""]
    if run.overhead:
        lines += [_row(["", "", "time", "ratio"]), _row(["---", "---", "--:", "--:"])]
        for each in run.overhead:
            call = each.call if each.group == "import" else f"`{each.call}`"
            lines.append(_row([each.group, call, duration(each.seconds), ratio(each.ratio)]))
        lines.append("")
    return "\n".join([*lines, measured_on(run) + "."])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(result: Result | None, fastest: bool) -> str:
    if result is None:
        return "–"
    mark = "**" if fastest else ""
    return f"{mark}{duration(result.seconds)}{mark} ({ratio(result.to_limit)})"


def measured_on(run: Run) -> str:
    """One line: the processor, the threads, the versions, and what else to know."""
    where = run.environment
    threads = f"{where['threads']} thread{'s' if where['threads'] > 1 else ''}"
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    parts = [
        f"{where['processor']}, {where['instruction set']}, {threads}, inputs of standard deviation {where['spread']:g}",
        versions,
        *where["notes"],
    ]
    return f"Measured on {where['date']}: {'; '.join(parts)}"
