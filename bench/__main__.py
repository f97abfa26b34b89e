"""``python -m bench [--quick] [--results FOLDER] [PART ...]``: measures, and prints the verdicts.

Without a PART, all are measured. ``--quick`` measures almost nothing: it shows that each part
works, and writes nothing. Otherwise the results replace those in bench/results, and the tables in
the documents are written from them, unless a row is invalid. Then the status is 1.
"""

import argparse
import sys
import time
from pathlib import Path

from bench.aims import INVALID, MISSING, verdicts
from bench.chart import PICTURE, draw
from bench.pages import PAGES, part_table, write
from bench.parts import PARTS
from bench.processes import cores
from bench.results import RESULTS, Result, Results, Size, machine, progress, read_results


def measure(names: list[str], size: Size, folder: Path | None) -> Results:
    """The results of the named parts, each written as soon as it is measured."""
    results: Results = {}
    for number, name in enumerate(names):
        progress(f"== {name} ({number + 1} of {len(names)})")
        before, began_s = machine(), time.monotonic()
        results[name] = Result(PARTS[name].measure(size), before)
        progress(f"== {name}: {time.monotonic() - began_s:.0f} s")
        if folder:
            results[name].write(folder / f"{name}.json")
        print(f"\n{part_table(name, results[name])}\n", flush=True)
    return results


def print_verdicts(results: Results) -> None:
    """One line for each aim of the measured parts."""
    for one in verdicts(results):
        if one.word != MISSING or one.aim.part in results:
            print(one.line())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="show that each part works")
    parser.add_argument("--results", type=Path, help="write only the results, to this folder")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    if not args.quick and len(set(cores())) < 2:
        parser.error("two cores are necessary: one for the server, one for the load")
    folder = args.results or (None if args.quick else RESULTS)
    results = measure(args.parts or list(PARTS), Size(args.quick), folder)
    print_verdicts(results)
    if any(row.fault for result in results.values() for row in result.rows.values()):
        sys.exit(f"a row is {INVALID}")
    if "growth" in results and folder:
        draw(results["growth"].rows, PICTURE if folder == RESULTS else folder / PICTURE.name)
    if folder == RESULTS:
        write(read_results(RESULTS))
        progress(f"wrote {', '.join(PAGES)}")


if __name__ == "__main__":
    main()
