"""Each parser of the C client on each input with which the fuzzer begins (make fuzz-c)."""

import re
import subprocess
from pathlib import Path

from c_client import SOURCES, built
from make_c_corpus import PARSERS, write

FUZZER = Path(__file__).parent / "fuzz.c"


def test_each_parser_has_a_fuzzer_and_inputs(tmp_path: Path) -> None:
    """The order of the parsers is the same in C, in the Makefile and in the inputs."""
    source, makefile = FUZZER.read_text(), (SOURCES / "Makefile").read_text()
    [table] = re.findall(r"\bPARSERS\[\][^{]*\{([^}]*)\}", source)
    assert re.findall(r"fuzz_(\w+)", table) == PARSERS
    assert re.findall(r"^static void fuzz_(\w+)\(", source, re.MULTILINE) == PARSERS
    assert re.findall(r"^PARSERS := (.*)", makefile, re.MULTILINE) == [" ".join(PARSERS)]
    assert {file.parent.name for file in write(tmp_path)} == set(PARSERS)


def test_the_inputs_of_the_fuzzer(tmp_path: Path) -> None:
    """A read beyond an input, or a result that contradicts itself, ends the program."""
    files = write(tmp_path)
    assert len(files) > 500
    ran = subprocess.run(
        [built() / "test_fuzz", *files], check=False, capture_output=True, text=True, timeout=100
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_inputs_that_are_cut_or_longer(tmp_path: Path) -> None:
    """Every length up to the whole input, and one byte more."""
    inputs = {file.read_bytes() for file in write(tmp_path / "whole")}
    lengths = {data[:end] for data in inputs if len(data) < 300 for end in range(2, len(data))}
    everything = sorted(lengths | {data + b"\0" for data in inputs})
    cut = tmp_path / "cut"
    cut.mkdir()
    files = []
    for number, data in enumerate(everything):
        files.append(cut / str(number))
        files[-1].write_bytes(data)
    for begin in range(0, len(files), 10_000):
        ran = subprocess.run(
            [built() / "test_fuzz", *files[begin : begin + 10_000]],
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
