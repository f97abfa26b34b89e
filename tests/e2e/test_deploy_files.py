"""deploy/: what its files name is there, and each program that reads one takes it.

No image is built and no unit is started here: neither a container engine nor a running systemd is a
part of the tests. What they would do is done by hand: a manager waits, a health check asks. The
proxies have a room of their own (test_deploy_proxies.py).
"""

import asyncio
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import redis_servers
import yaml
from fronts import DEPLOY
from mailboxes import a_free_port
from processes import ROOT, program, python, until_listening

from gateway.cli.main import parser_of
from gateway.config.file import read_config
from gateway.doctor import Mark, Service
from gateway.doctor.configuration import check_configuration

UNIT = (DEPLOY / "certless.service").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
GATEWAYS = [name for name in SERVICES if name.startswith("gateway-")]
SETTINGS = read_config(DEPLOY / "gateway.toml")
# systemd-analyze counts in tenths: 1.3 of 10, where 10 is a program that may do anything.
MOST_EXPOSED = 13


def instructions() -> list[tuple[str, str]]:
    """Those of the Containerfile: name, and what follows on one line."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines) if name]


def the_last(name: str) -> str:
    return [rest for found, rest in instructions() if found == name][-1]


# --- the settings ---


async def test_the_settings_are_sound(tmp_path: Path) -> None:
    options = {**SETTINGS, "users": str(DEPLOY / "users.toml")}
    found = [one async for one in check_configuration(Service(options, DEPLOY / "gateway.toml"))]
    assert [one.text for one in found if one.mark is Mark.FIX] == []
    # The figures are for the proxy and for Prometheus, in a network without visitors.
    assert [one.about for one in found if one.mark is Mark.WARN] == ["admin"]


def test_ports_and_sizes_are_the_same_everywhere() -> None:
    nginx = (DEPLOY / "nginx.conf").read_text("utf-8")
    haproxy = (DEPLOY / "haproxy.cfg").read_text("utf-8")
    port, admin = (SETTINGS[name].rpartition(":")[2] for name in ("listen", "admin"))
    size = re.search(r"client_max_body_size (\d+)m;", nginx)
    assert size
    assert int(size[1]) * 1024 * 1024 == SETTINGS["max_body_bytes"]
    for name in GATEWAYS:
        assert f"server {name}:{port} " in nginx
        assert f"{name}:{port}\n" in haproxy
    assert f"check port {admin} " in haproxy
    assert the_last("EXPOSE") == port
    assert f"localhost:{admin}/readyz" in the_last("HEALTHCHECK")


# --- systemd ---


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that is there: what is checked is all around it."""
    stub = shutil.which("true")
    assert stub
    assert "/opt/certless/bin/certless" in UNIT
    path = tmp_path / "certless.service"
    path.write_text(UNIT.replace("/opt/certless/bin/certless", stub))
    return path


def systemd_analyze(*arguments: str) -> str:
    """What it prints; it must be content."""
    command = ["systemd-analyze", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_systemd_understands_the_unit(unit: Path) -> None:
    assert systemd_analyze("verify", "--man=no", str(unit)) == ""


def test_the_unit_leaves_little_open(unit: Path) -> None:
    told = systemd_analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(unit))
    assert "Overall exposure level" in told


def test_the_unit_starts_what_there_is() -> None:
    (command,) = re.findall(r"^ExecStart=\S+ (.*)$", UNIT, re.MULTILINE)
    options = parser_of().parse_args(shlex.split(command))
    assert (options.command, options.config) == ("serve", "${CREDENTIALS_DIRECTORY}/gateway.toml")


def said(name: str) -> str:
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(value)


def serve(port: int, *arguments: str) -> tuple[str, ...]:
    """A gateway of the smallest settings that it takes."""
    return (
        *("-m", "gateway", "serve", "--listen", f"127.0.0.1:{port}", *arguments),
        *("--upstream", "http://127.0.0.1:1", "--any-address", "--mail", "console:"),
        *("--suites", "ecdh-gcm"),
    )


def test_the_unit_says_all_that_port_80_takes() -> None:
    """A capability among private users is none on the machine's ports: the kernel says EACCES."""
    (comment,) = (
        text for text in re.findall(r"(?:^#.*\n)+", UNIT, re.MULTILINE) if "port 80" in text
    )
    assert "CAP_NET_BIND_SERVICE" in comment
    assert (said("PrivateUsers") == "yes") is ("PrivateUsers=no" in comment)


@pytest.mark.parametrize("where", ["in a folder", "in no file system"])
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_unit_is_started_once_it_serves(
    where: str, workers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said("Type") == "notify"
    port = a_free_port()
    address = str(tmp_path / "n") if where == "in a folder" else f"@certless-{port}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind(address.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        arguments = serve(port, "--store", f"sqlite:{tmp_path / 'db'}", "--workers", workers)
        async with python(*arguments, stderr=subprocess.DEVNULL), asyncio.timeout(30):
            told = await asyncio.get_running_loop().sock_recv(manager, 1000)
            assert told == b"READY=1"
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()


async def test_a_manager_that_is_gone_is_no_reason_not_to_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    port = a_free_port()
    async with python(*serve(port), stderr=subprocess.DEVNULL) as process:
        await until_listening(port, process)
        process.terminate()
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("wrong", "again"),
    [
        # A person has to put it right.
        (("--limit-nothing",), False),
        (("--config", "{folder}/none.toml"), False),
        (("--listen", "256.0.0.1:1"), False),
        # The store may be there the next time.
        (("--store", "redis://127.0.0.1:1", "--key-file", "{folder}/keys"), True),
    ],
)
async def test_the_unit_starts_again_what_may_go_well(
    wrong: tuple[str, ...], again: bool, tmp_path: Path
) -> None:
    assert said("Restart") == "on-failure"
    arguments = [one.format(folder=tmp_path) for one in wrong]
    command = serve(a_free_port(), *arguments)
    async with python(*command, stderr=subprocess.DEVNULL) as process:
        status = await process.wait()
    assert status != 0
    assert (str(status) != said("RestartPreventExitStatus")) is again


# --- the image ---


def test_the_image_is_made_of_what_there_is() -> None:
    rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    let_in = [rule[1:] for rule in rules if rule.startswith("!")]
    kept_out = [rule for rule in rules if rule and rule[0] not in "!#*"]
    for name, rest in instructions():
        if name != "COPY" or rest.startswith("--from"):
            continue
        *sources, _ = rest.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in let_in
            assert not any(fnmatch(source.rstrip("/"), rule) for rule in kept_out)


def test_the_image_runs_as_nobody_in_particular_and_keeps_no_secret() -> None:
    user, _, group = the_last("USER").partition(":")
    assert (int(user) > 0, int(group) > 0) == (True, True)
    assert the_last("STOPSIGNAL") == "SIGTERM"
    stages = [rest.split(" AS ")[0] for name, rest in instructions() if name == "FROM"]
    assert len(stages) == 3
    assert all(":" in image and not image.endswith(":latest") for image in stages)
    for name, rest in instructions():
        assert name != "ARG"
        assert name != "ENV" or not re.search(r"KEY|PASSWORD|SECRET|TOKEN", rest)


def test_the_user_of_the_image_has_a_name_and_a_group() -> None:
    """A group that is a bare number is one that another package may get."""
    user, _, group = the_last("USER").partition(":")
    made = the_last("RUN")
    assert f"groupadd --gid {group} certless " in made
    assert re.search(rf"useradd --uid {user} --gid {group} .* certless ", made)


def test_the_image_starts_what_there_is() -> None:
    assert json.loads(the_last("ENTRYPOINT")) == ["certless"]
    options = parser_of().parse_args(json.loads(the_last("CMD")))
    mounted = [volume.split(":")[1] for volume in SERVICES["gateway-a"]["volumes"]]
    assert options.config in mounted
    assert SETTINGS["users"] in mounted


async def test_the_health_check_tells_ready_from_not(tmp_path: Path) -> None:
    _, _, command = the_last("HEALTHCHECK").partition(" CMD ")
    name, *arguments = json.loads(command)
    assert name == "python"
    admin, port = a_free_port(), a_free_port()
    arguments = [one.replace(":8441", f":{admin}") for one in arguments]

    async def status() -> int | None:
        async with program(sys.executable, *arguments, stderr=subprocess.DEVNULL) as process:
            return await process.wait()

    assert await status() == 1
    options = ("--admin", f"127.0.0.1:{admin}", "--store", f"sqlite:{tmp_path / 'db'}")
    async with python(*serve(port, *options), stderr=subprocess.DEVNULL) as process:
        await until_listening(port, process)
        assert await status() == 0


# --- compose ---


def test_compose_names_what_there_is() -> None:
    assert GATEWAYS == ["gateway-a", "gateway-b"]
    for name, service in SERVICES.items():
        assert service["image"], name
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for needed in service.get("depends_on", {}):
            # Its health decides, so it must tell it, whatever becomes of what its image says.
            assert "healthcheck" in SERVICES[needed]
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            known = (DEPLOY / source).is_file() if source.startswith(".") else True
            assert known, volume
            assert source.startswith(".") or source in COMPOSE.get("volumes", {})
    build = SERVICES["gateway-a"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def test_compose_asks_for_health_as_the_image_does() -> None:
    options, _, command = the_last("HEALTHCHECK").partition(" CMD ")
    for name in GATEWAYS:
        check = SERVICES[name]["healthcheck"]
        assert shlex.split(check["test"]) == json.loads(command)
        times = {option: check[option.replace("-", "_")] for option in ("interval", "timeout")}
        times["start-period"] = check["start_period"]
        assert options.split() == [f"--{option}={time}" for option, time in times.items()]


def test_what_is_mounted_may_be_read_where_selinux_is_on() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            assert volume.endswith(":ro,z")


def test_the_gateways_of_compose_can_do_little() -> None:
    for name in GATEWAYS:
        gateway = SERVICES[name]
        assert gateway["read_only"] is True
        assert gateway["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in gateway["security_opt"]
        assert "ports" not in gateway
    assert "ports" not in SERVICES["redis"]
    assert "ports" not in SERVICES["api"]
    assert COMPOSE["networks"]["back"]["internal"] is True


def test_the_keys_of_compose_are_committed_by_nobody() -> None:
    ignored = (DEPLOY.parent / ".gitignore").read_text("utf-8").splitlines()
    for name in GATEWAYS:
        assert f"deploy/{SERVICES[name]['env_file']}" in ignored


def test_compose_and_the_settings_mean_the_same_machines() -> None:
    proxy = SERVICES["nginx"]["networks"]["front"]["ipv4_address"]
    assert SETTINGS["trusted_proxies"] == [proxy]
    for option, name in (("upstream", "api"), ("store", "redis")):
        assert re.fullmatch(rf"\w+://{name}:\d+(/0)?", SETTINGS[option])
        assert set(SERVICES[name]["networks"]) & set(SERVICES["gateway-a"]["networks"])
    assert SETTINGS["upstream"].rpartition(":")[2] in SERVICES["api"]["command"]


async def test_the_redis_of_compose_is_one_that_a_gateway_takes(tmp_path: Path) -> None:
    command = shlex.split(SERVICES["redis"]["command"])
    assert command[0] == "redis-server"
    options = dict(zip(command[1::2], command[2::2], strict=True))
    named = {name.removeprefix("--").replace("-", "_"): value for name, value in options.items()}
    async with redis_servers.running(tmp_path, **named) as server, server.client() as client:
        told: Any = await client.config_get("maxmemory-policy")
        assert list(told.values()) in (["noeviction"], [b"noeviction"])


def test_try_names_what_there_is() -> None:
    path = DEPLOY / "try.sh"
    assert path.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(path)], check=True, timeout=10)
    script = path.read_text("utf-8").replace("\\\n", " ")
    # What serves under the name of compose.yaml is not taken down.
    (project,) = re.findall(r"} -p (\S+) ", script)
    assert project != COMPOSE["name"]
    assert set(re.findall(r"gateway-\w", script)) == set(GATEWAYS)
    assert set(re.findall(r"http://([a-z]+)/", script)) == {"nginx"}
    commands = re.findall(r"in_gateway_b certless ([^<|\n]*)", script)
    mounted = [volume.split(":")[1] for volume in SERVICES["gateway-b"]["volumes"]]
    asked = [parser_of().parse_args(shlex.split(one.partition(" || ")[0])) for one in commands]
    assert [options.command for options in asked] == ["doctor", "request"]
    assert all(options.config in mounted for options in asked)
    assert asked[1].login in tomllib.loads((DEPLOY / "users.toml").read_text("utf-8"))["users"]


def test_the_alerts_are_about_metrics_that_exist() -> None:
    (group,) = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    explained = (ROOT / "docs" / "watching.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `(certless_\w+)`", explained, re.MULTILINE))
    used = set()
    for rule in group["rules"]:
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("page", "ticket")
        used |= set(re.findall(r"certless_\w+", rule["expr"]))
    assert used <= documented
    names = [rule["alert"] for rule in group["rules"]]
    assert len(set(names)) == len(names) >= 9
