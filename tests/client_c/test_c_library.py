"""One library for Arduino, PlatformIO and ESP-IDF, compiled as each of them does."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from c_client import made

import gateway

HERE = Path(__file__).parent
# C++, as each sketch is. It uses the whole of a login's first step, so it needs the cryptography.
SKETCH = """
#include <HEADER>
#include <cstdio>
#include <cstring>

static int entropy(void *, uint8_t *out, size_t length) { memset(out, 1, length); return 0; }
static int save(void *, const uint8_t *, size_t) { return 0; }
static const certless_config config = {
    "fan-7", "certless", CERTLESS_COUNTER, entropy, save, NULL, NULL};
static certless_client client;
static uint8_t out[CERTLESS_LOGIN_BYTES], state[CERTLESS_STATE_BYTES];

int main()
{
    size_t length = 0;
    if (certless_init(&client, &config) != CERTLESS_OK
        || certless_begin_login(&client, out, sizeof out, &length) != CERTLESS_OK)
        return 1;
    printf("%zu %s", length, certless_route(&client));
    printf(" %d\\n", certless_load(&client, 5, state, sizeof state));
    return certless_receive_share(&client, out, 0, out, sizeof out, &length) == CERTLESS_OK;
}
"""
# Names and default values in Kconfig.
KCONFIG_DEFAULT = re.compile(r'config (\w+)\n.*\n\s+default (".*")')


def run(*command: str | Path, **environment: str) -> str:
    ran = subprocess.run(
        command,
        check=False,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def library() -> Path:
    return made("library") / "library" / "certless"


def properties(library: Path) -> dict[str, str]:
    lines = (library / "library.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def compiled(library: Path, include: str, header: str, flags: list[str], folder: Path) -> str:
    """Compile all of ``src`` and a sketch, with one include path, and run the sketch."""
    sources = sorted((library / "src").rglob("*.c"))
    assert len(sources) > 15
    for source in sources:
        made_to = folder / f"{source.stem}.o"
        run(
            "gcc",
            "-std=gnu11",
            "-Os",
            *flags,
            f"-I{library / include}",
            "-c",
            source,
            "-o",
            made_to,
        )
    (folder / "sketch.cpp").write_text(SKETCH.replace("HEADER", header))
    objects = sorted(folder.glob("*.o"))
    sketch = ("g++", "-std=gnu++11", f"-I{library / include}", folder / "sketch.cpp")
    run(*sketch, *objects, "-o", folder / "sketch")
    return run(folder / "sketch")


SAID = re.compile(r"\d+ /session/hello \d+\n")


@pytest.mark.parametrize("flags", [[], ["-DCERTLESS_SMALL_MULTIPLIER"]])
def test_arduino(library: Path, tmp_path: Path, flags: list[str]) -> None:
    """Arduino compiles every file below ``src``, which is the one include path."""
    said = properties(library)
    for needed in ("name", "version", "author", "maintainer", "sentence", "paragraph", "category"):
        assert said[needed]
    assert said["architectures"] == "*"
    assert SAID.fullmatch(compiled(library, "src", said["includes"], flags, tmp_path))


def test_the_arduino_example(library: Path) -> None:
    """As a sketch: C++ behind ``Arduino.h``, in a folder of its own name."""
    [sketch] = (library / "examples").rglob("*.ino")
    assert sketch.parent == library / "examples" / sketch.stem
    flags = ("-std=gnu++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only")
    paths = (f"-I{library / 'src'}", f"-I{HERE / 'arduino'}")
    run("g++", *flags, *paths, "-include", "Arduino.h", "-x", "c++", sketch)


def test_platformio(library: Path, tmp_path: Path) -> None:
    """PlatformIO reads library.json, which says the same."""
    said = json.loads((library / "library.json").read_text())
    assert said["build"] == {"srcDir": "src", "includeDir": "src"}
    assert (said["frameworks"], said["platforms"]) == ("*", "*")
    assert SAID.fullmatch(compiled(library, "src", said["headers"], [], tmp_path))


def test_esp_idf(library: Path, tmp_path: Path) -> None:
    """The component and the example, with the headers of ESP-IDF replaced by declarations."""
    example = library / "examples" / "thermometer"
    stubs = HERE / "idf"
    configured = (stubs / "common" / "sdkconfig.h").read_text()
    defaults = KCONFIG_DEFAULT.findall((example / "main" / "Kconfig.projbuild").read_text())
    assert [f"#define CONFIG_{name} {value}" for name, value in defaults] == [
        line for line in configured.splitlines() if line.startswith("#define")
    ]
    run("cmake", "-S", example, "-B", tmp_path, IDF_PATH=str(stubs))
    run("cmake", "--build", tmp_path)
    assert len(list(tmp_path.rglob("*.o"))) == len(list((library / "src").glob("*.c"))) + 1


def test_the_manifests_agree(library: Path) -> None:
    found = {
        "arduino": properties(library)["version"],
        "platformio": json.loads((library / "library.json").read_text())["version"],
        "esp-idf": re.findall(
            r'^version: "(.*)"$', (library / "idf_component.yml").read_text(), re.M
        )[0],
    }
    assert found == dict.fromkeys(found, gateway.__version__)
    assert "Permission is hereby granted" in (library / "LICENSE.bearssl").read_text()
    assert "Apache License" in (library / "LICENSE").read_text()
