"""The activities that exist: those of every module in the folder `activities`, and those that a program registers."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from ...modeling.known_names import did_you_mean
from . import activities
from .activity import Activity


def find_activities(package: ModuleType = activities) -> dict[str, Activity]:
    """Activities of every module of a package, by name, in alphabetical order.

    A module declares them as a tuple `ACTIVITIES`.

    Raises:
        ValueError: a module without `ACTIVITIES`, or two activities of one name.
    """
    found: dict[str, Activity] = {}
    for module in sorted(iter_modules(package.__path__), key=lambda module: module.name):
        declared = getattr(import_module(f"{package.__name__}.{module.name}"), "ACTIVITIES", None)
        if not declared:
            raise ValueError(
                f"{package.__name__}.{module.name} declares no ACTIVITIES; add a tuple of Activity objects"
            )
        _add(found, declared)
    return dict(sorted(found.items()))


def register(*new: Activity) -> None:
    """Adds activities for this process, beside those of the package.

    Raises:
        ValueError: the name is taken.
    """
    _add(ACTIVITIES, new)
    EVERYDAY.update({item.name: item for item in new if item.everyday})


def broader_activities() -> dict[str, str]:
    """Activity -> the wider one that it declares.

    Raises:
        ValueError: a wider activity that does not exist.
    """
    return {name: get_activity(item.broader).name for name, item in ACTIVITIES.items() if item.broader is not None}


def get_activity(name: str) -> Activity:
    """The activity of this name.

    Raises:
        ValueError: unknown activity.
    """
    if name not in ACTIVITIES:
        raise ValueError(
            f"unknown activity {name!r}{did_you_mean(name, ACTIVITIES)}; known: {', '.join(sorted(ACTIVITIES))}"
        )
    return ACTIVITIES[name]


def _add(found: dict[str, Activity], new: Iterable[Activity]) -> None:
    for item in new:
        if item.name in found:
            raise ValueError(f"two activities are named {item.name!r}; give one of them another name")
        found[item.name] = item


ACTIVITIES: dict[str, Activity] = find_activities()
EVERYDAY: dict[str, Activity] = {name: item for name, item in ACTIVITIES.items() if item.everyday}
