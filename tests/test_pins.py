"""Packages that are installed are those that constraints.txt pins, so that an advisory on a version can be looked up there.

Advisories themselves need a network: `pip-audit -r constraints.txt` where there is one.
"""

import configparser
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]
INSTALLED_BY_MAKE = ("dev", "eval", "viz", "vrs", "onnx", "devices", "space")


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    lines = [line.strip() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()]
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_every_pin_is_one_exact_version():
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in pins())
    assert all(re.fullmatch(r"\d[\w.!]*", pin) for pin in pins().values())
    assert len({plain(name) for name in pins()}) == len(pins())


def test_whatever_make_install_asks_for_is_pinned():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    asked = setup["options"]["install_requires"].split("\n")
    for extra in INSTALLED_BY_MAKE:
        asked += setup["options.extras_require"][extra].split("\n")
    names = {plain(re.split(r"[<>=!~\[; ]", line)[0]) for line in asked if line and not line.startswith("#")}
    # torch is chosen by the user, see the Makefile, which names its version
    assert not names - {plain(name) for name in pins()} - {"torch"}
    assert "TORCH ?= torch==" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_what_is_installed_is_what_is_pinned():
    other = {}
    for name, pin in pins().items():
        try:
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue  # of an extra that is not installed here
        if found != pin:
            other[name] = (pin, found)
    assert not other
