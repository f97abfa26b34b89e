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


# A function that is used before its definition: the tool of Arduino adds its prototype.
INO = """
#include <certless.h>

static int entropy(void *, uint8_t *out, size_t length) { memset(out, 1, length); return 0; }
static int save(void *, const uint8_t *, size_t) { return 0; }
static const certless_config config = {
    "fan-7", "certless", CERTLESS_COUNTER, entropy, save, NULL, NULL};
static certless_client client;
static uint8_t out[CERTLESS_LOGIN_BYTES];

void setup() { begin(); }
void loop() {}
void begin()
{
    size_t length;
    certless_init(&client, &config);
    certless_begin_login(&client, out, sizeof out, &length);
}
"""


def built_by_arduino(library: Path, folder: Path, board: str) -> subprocess.CompletedProcess[str]:
    """A sketch, built by the tool that Arduino 1.8 uses."""
    for name in ("sketch", "libraries", "build"):
        (folder / name).mkdir()
    (folder / "sketch" / "sketch.ino").write_text(INO)
    (folder / "libraries" / "certless").symlink_to(library)
    hardware = ("/usr/share/arduino/hardware", "/usr/share/arduino-builder")
    places = [*hardware, str(HERE / "arduino_platform")]
    return subprocess.run(
        [
            "arduino-builder",
            "-compile",
            "-verbose",
            *(word for place in places for word in ("-hardware", place)),
            *("-tools", "/usr/bin", "-libraries", str(folder / "libraries")),
            *("-fqbn", board, "-build-path", str(folder / "build"), "-warnings", "all"),
            str(folder / "sketch" / "sketch.ino"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_tool_of_arduino_builds_it(library: Path, tmp_path: Path) -> None:
    """It finds the library by its properties, and compiles all of it for a Cortex-M3."""
    ran = built_by_arduino(library, tmp_path, "certless:bare:m3")
    assert ran.returncode == 0, ran.stderr
    assert f"Using library certless at version {gateway.__version__}" in ran.stdout + ran.stderr
    made = list((tmp_path / "build" / "libraries").rglob("*.o"))
    assert len(made) == len(list((library / "src").glob("*.c")))
    assert (tmp_path / "build" / "sketch.ino.elf").stat().st_size > 10_000


def test_a_board_of_16_bits_is_refused(library: Path, tmp_path: Path) -> None:
    """With the real core of Arduino for AVR: constants of the client do not fit there."""
    ran = built_by_arduino(library, tmp_path, "arduino:avr:mega:cpu=atmega2560")
    assert ran.returncode != 0
    assert "Certless needs a processor of 32 bits" in ran.stderr


def test_the_manifests_have_the_form_that_their_tools_document(library: Path) -> None:
    """Our reading of the rules of arduino-lint, PlatformIO and the registry of ESP-IDF."""
    arduino = properties(library)
    categories = ("Communication", "Data Processing", "Device Control", "Other", "Sensors")
    assert arduino["category"] in categories
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", arduino["name"])
    assert not arduino["name"].lower().startswith("arduino")
    assert set(arduino) == {
        "name", "version", "author", "maintainer", "sentence", "paragraph", "category",
        "architectures", "includes",
    }  # fmt: skip
    assert not arduino["paragraph"].startswith(arduino["sentence"])

    platformio = json.loads((library / "library.json").read_text())
    assert re.fullmatch(r"[^;.@<>:\"/\\|?*]{1,100}", platformio["name"])
    assert len(platformio["description"]) <= 255
    for keyword in platformio["keywords"].split(", "):
        assert re.fullmatch(r"[a-z0-9][a-z0-9 +-]{0,48}[a-z0-9]", keyword)

    lines = (library / "idf_component.yml").read_text().splitlines()
    keys = [line.split(":")[0] for line in lines if line and not line.startswith(" ")]
    known = "version description license url repository documentation issues files dependencies"
    assert set(keys) <= set(known.split())
    assert "version" in keys
    for version in (arduino["version"], platformio["version"]):
        assert re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", version)


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
