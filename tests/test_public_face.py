"""``certless``: every public name is there, and the former ones go on working."""

import importlib
import subprocess
import sys

import pytest

import certless
import gateway
import gateway.events


@pytest.mark.parametrize("name", sorted(certless._HOME))
def test_each_name_is_the_one_of_its_home(name: str) -> None:
    assert getattr(certless, name) is getattr(importlib.import_module(certless._HOME[name]), name)
    # As it was spelled before 0.2.0.
    if name != "Client":
        assert getattr(gateway, name) is getattr(certless, name)


def test_modules_are_reached_without_another_import() -> None:
    program = "import certless; print(certless.asgi.Certless.__name__, certless.events.CodeSent)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.startswith("Certless <class")


@pytest.mark.parametrize(
    ("former", "new", "name"),
    [
        ("gateway.client", "certless.client", "Client"),
        ("gateway.asgi", "certless.asgi", "Certless"),
        ("gateway.metrics", "gateway.monitoring.metrics", "Metrics"),
    ],
)
def test_former_modules_say_where_they_are_now(former: str, new: str, name: str) -> None:
    sys.modules.pop(former, None)
    with pytest.warns(DeprecationWarning, match=f"{former} is now {new}"):
        module = importlib.import_module(former)
    assert getattr(module, name) is getattr(importlib.import_module(new), name)


@pytest.mark.parametrize("package", [certless, gateway])
def test_another_name_is_an_attribute_error(package: object) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        package.no_such_name  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("where", "former", "new"),
    [
        (certless, "Delivery", "MailTransport"),
        (gateway, "Delivery", "MailTransport"),
        (gateway.events, "LoginAsked", "LoginRequested"),
        (gateway.events, "TicketReturned", "TicketReuseDetected"),
        (gateway.events, "UserDeparted", "UserRemoved"),
    ],
)
def test_former_names_say_what_they_are_called_now(where: object, former: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"{former} is now {new}"):
        assert getattr(where, former) is getattr(where, new)
