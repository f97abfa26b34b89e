"""The C client as a library: CMake, pkg-config, and as one file."""

import subprocess
from pathlib import Path

import pytest
from c_client import SOURCES
from documents import blocks, read

import gateway

EXAMPLE = SOURCES / "examples" / "sensor.c"
PROJECT = """
cmake_minimum_required(VERSION 3.16)
project(device LANGUAGES C)
find_package(certless 0.2 REQUIRED)
add_executable(sensor sensor.c)
target_compile_definitions(sensor PRIVATE _POSIX_C_SOURCE=200809L)
target_link_libraries(sensor certless::certless)
"""


# What the second example of the README takes as given.
GIVEN = """
int write_flash(void *slot, const uint8_t *data, size_t length);
void switch_to(void *slot);
void shown(void *slot);
"""


def run(*command: str | Path, **environment: str) -> str:
    ran = subprocess.run(
        command,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.strip()


def usage(program: Path) -> str:
    ran = subprocess.run([program], check=False, capture_output=True, text=True, timeout=10)
    assert ran.returncode == 2
    return ran.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cmake")
    run("cmake", "-S", SOURCES, "-B", folder / "build", f"-DCMAKE_INSTALL_PREFIX={folder}/usr")
    run("cmake", "--build", folder / "build")
    run("cmake", "--install", folder / "build")
    return folder / "usr"


def test_a_program_with_cmake(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    (tmp_path / "sensor.c").write_text(EXAMPLE.read_text())
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed}")
    run("cmake", "--build", tmp_path / "build")
    assert usage(tmp_path / "build" / "sensor").startswith("usage: sensor HOST")


def test_a_program_with_pkg_config(installed: Path, tmp_path: Path) -> None:
    [found] = installed.rglob("certless.pc")
    path = {"PKG_CONFIG_PATH": str(found.parent)}
    assert run("pkg-config", "--modversion", "certless", **path) == gateway.__version__
    flags = run("pkg-config", "--cflags", "--libs", "certless", **path).split()
    run("gcc", "-D_POSIX_C_SOURCE=200809L", EXAMPLE, "-o", tmp_path / "sensor", *flags)
    assert usage(tmp_path / "sensor").startswith("usage: sensor HOST")


def test_the_examples_of_the_readme(tmp_path: Path) -> None:
    """They compile, one after the other: the header and the function first, then the rest."""
    (header, first), (function, second) = (
        block.split("\n\n", 1) for block in blocks(read("client_c/README.md"), "c")
    )
    body = f"void shown(void *slot)\n{{\n{first}\n{second}\n}}\n"
    (tmp_path / "shown.c").write_text("\n".join((header, GIVEN, function, body)))
    warnings = ("-std=c99", "-Wall", "-Wextra", "-Werror")
    run("gcc", *warnings, f"-I{SOURCES}/include", "-fsyntax-only", tmp_path / "shown.c")


def test_one_file(tmp_path: Path) -> None:
    """It compiles without a warning, and exports only names with a prefix of its own."""
    (tmp_path / "certless_all.c").write_text(run(SOURCES / "amalgamate.sh"))
    warnings = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
    made = tmp_path / "all.o"
    run("gcc", *warnings, f"-I{SOURCES}/include", "-c", tmp_path / "certless_all.c", "-o", made)
    names = {line.split()[-1] for line in run("nm", "-g", "--defined-only", made).splitlines()}
    assert "certless_seal" in names
    assert all(name.startswith(("certless_", "cl_")) for name in names)
