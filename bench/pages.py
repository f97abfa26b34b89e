"""The tables and figures in the documents, made from bench/results: ``python -m bench.pages``.

A block is between ``<!-- bench: NAME -->`` and ``<!-- end -->``.
"""

import re
from collections.abc import Callable

from bench.aims import COMPARED, verdicts
from bench.markdown import conditions, markdown
from bench.parts import PARTS
from bench.results import RESULTS, ROOT, Result, Results, read_results
from bench.sizing import Costs

PAGES = ("bench/README.md", "docs/sizing.md", "docs/vault.md", "README.md")
# In a table of README.md that has other rows.
_SUITES = re.compile(r"(?<=\n)(\| 1 KiB messages per second and core \|).*")
_BLOCK = re.compile(r"(<!-- bench: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def part_table(name: str, result: Result) -> str:
    """The table of a part, and the machine below it."""
    part = PARTS[name]
    shown = [
        column
        for column in part.columns
        if any(column.figure in row.figures for row in result.rows.values())
    ]
    head = [part.title, *(column.title for column in shown), *([part.note] if part.note else [])]
    rows = [head]
    for title, row in result.rows.items():
        cells = [column.cell(row) for column in shown]
        if row.fault:
            cells = [f"invalid: {row.fault}", *("" for _ in cells[1:])]
        rows.append([title, *cells, *([row.note] if part.note else [])])
    return f"{markdown(rows)}\n\n{conditions(result)}"


def aims_table(results: Results) -> str:
    """The verdict of each aim."""
    rows = [["ratio", "median (rounds)", "by CPU time", "aim", "verdict"]]
    for one in verdicts(results):
        figures = ""
        if one.value:
            middle, low, high = map(one.number, one.value)
            figures = middle if low == high else f"{middle} ({low} to {high})"
        word = {COMPARED: "", "missed": "**missed**"}.get(one.word, one.word)
        cpu = "" if one.by_cpu is None else one.number(one.by_cpu)
        rows.append([one.aim.name, figures, cpu, one.bound, word])
    return markdown(rows)


def blocks(results: Results) -> dict[str, Callable[[], str]]:
    """Each block that the results can fill."""
    made: dict[str, Callable[[], str]] = {
        name: lambda name=name: part_table(name, results[name])  # type: ignore[misc]
        for name in PARTS
        if name in results
    }
    made["aims"] = lambda: aims_table(results)
    costs = Costs(results)
    made["processor"] = costs.processor
    made["shop"] = costs.shop
    made["sessions"] = costs.sessions
    made["summary"] = costs.summary
    return made


def filled(text: str, results: Results) -> str:
    """``text`` with new contents in its blocks. Raises: KeyError, for a block without results."""
    made = blocks(results)
    text = _SUITES.sub(lambda found: found[1] + Costs(results).suites(), text)
    return _BLOCK.sub(lambda found: f"{found[1]}\n{made[found[2]]()}\n\n{found[3]}", text)


def block_names(text: str) -> list[str]:
    return [found[2] for found in _BLOCK.finditer(text)]


def write(results: Results) -> None:
    """All pages."""
    for name in PAGES:
        path = ROOT / name
        path.write_text(filled(path.read_text("utf-8"), results), encoding="utf-8")


def main() -> None:
    write(read_results(RESULTS))


if __name__ == "__main__":
    main()
