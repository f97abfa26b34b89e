"""Chromium on a plain-HTTP page without WebCrypto: large bodies, logins and messages."""

import json
import os
import re
import subprocess
import sys

from bench.results import ROOT, Row, Rows, Size, progress

RUNS = 3
MEGABYTES = 200
IDLE_MS = 5000
FIGURE_RUNS = 15
SUITES = ("ecdh-gcm", "article-2016")
_WITHIN_S = 600
_VISIT = re.compile(r"^(\S+), (.+)$")
_TIMES = re.compile(r"^  (.+): median ([\d.]+) ms, worst ([\d.]+) ms .*held for ([\d.]+) ms$")
_LARGE = re.compile(r"^  (.+): ([\d.]+) ms; held for ([\d.]+) ms$")


def _output(*command: str, folder: str) -> str:
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT / folder,
        timeout=_WITHIN_S,
        text=True,
        env={**os.environ, "CERTLESS_PYTHON": sys.executable},
    ).stdout


def page(size: Size) -> Rows:
    """Bodies of 200 MB: the longest task of the page's main thread (CPU time), and heaps."""
    rows: Rows = {}
    counts = (size.of(RUNS, 1), size.of(MEGABYTES, 2), size.of(IDLE_MS, 100))
    progress(f"Chromium: {counts[1]} MB down and up, {counts[0]} runs")
    for line in _output(
        "node", "bench/page_streams.mjs", *map(str, counts), folder="."
    ).splitlines():
        told = json.loads(line)
        rows.setdefault(told["name"], Row()).add(**told["figures"])
    return rows


def client(size: Size) -> Rows:
    """The browser client on pages without WebCrypto, as ``client_js/scripts/figures.mjs`` says."""
    progress("Chromium: logins and messages")
    rows: Rows = {}
    visit = ""
    names = SUITES[: size.of(len(SUITES), 1)]
    command = ("node", "scripts/figures.mjs", str(size.of(FIGURE_RUNS, 1)), *names)
    for line in _output(*command, folder="client_js").splitlines():
        if found := _VISIT.match(line):
            visit = found[0]
        elif ", no WebCrypto, " not in visit:
            continue
        elif found := _TIMES.match(line):
            row = rows.setdefault(f"{visit.replace(', no WebCrypto', '')}: {found[1]}", Row())
            row.add(ms=float(found[2]), worst_ms=float(found[3]), held_ms=float(found[4]))
        elif found := _LARGE.match(line):
            row = rows.setdefault(f"{visit.replace(', no WebCrypto', '')}: {found[1]}", Row())
            row.add(ms=float(found[2]), held_ms=float(found[3]))
    return rows
