"""Fine150 and Core50, the label spaces of AnyMo Bench: rebuilt from what the paper prints, or read from official files.

The paper gives no member lists. Ours (`bench_classes.json`, with a reason for every decision) rest on this reading:

- Table 7's largest class (19,696), its 47 and its 72 are the published ends of the two spaces, so class sizes of the Bench
  are taken to be Table 7's counts. Those count narrations; the Bench counts windows before long ones are cut.
- Twelve labels lie below Fine150's smallest class. The other eighteen must sum to 3,015 and leave 411 as the median;
  among the choices that do (`fine150_choices` counts them), labels went that an object or a place tells apart rather than
  a motion. The paper also drops labels with under two test subjects or ten test windows, which only its data can show.
- Core50 merges labels of like motion into fifty classes with the published ends and median.

So the numbers of the paper hold, but single members may differ from the official lists. `read_label_space` takes those.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

from ..motion.activity_labels import anymo180
from ..refusals import parse_json

_FILE = Path(__file__).with_name("bench_classes.json")
SPACES = ("fine150", "core50")
EXCLUDED_LABELS = ("writing with foot", "sit-ups")  # named by the official exporter
# official config -> label space and whether testing uses the second IMU
OFFICIAL_CONFIGS = {
    "AnyMo-Bench-150-US": ("fine150", False),
    "AnyMo-Bench-150-USCD": ("fine150", True),
    "AnyMo-Bench-50-US": ("core50", False),
    "AnyMo-Bench-50-USCD": ("core50", True),
}
_COLUMNS = {"fine150": ("label", "activity_label"), "core50": ("label", "superclass_50_label")}
# of the paper's appendix B: classes, windows, smallest, largest, median, mean
PUBLISHED = {"fine150": (150, 154_695, 47, 19_696, 411, 1031.3), "core50": (50, 154_695, 72, 19_696, 1921, 3093.9)}


@dataclass(frozen=True)
class LabelSpace:
    """Classes of one setting.

    Args:
        name: "fine150" or "core50".
        labels: class names; a class's id is its place, from zero.
        members: AnyMo-180 label -> class; None where only class names are known, as in official Core50 files.
    """

    name: str
    labels: tuple[str, ...]
    members: Mapping[str, str] | None

    def class_of(self, label: str, superclass: str | None = None) -> str | None:
        """Class of a window, None where the space leaves it out.

        Args:
            label: its AnyMo-180 label.
            superclass: its official Core50 class, used where `members` is None.

        Raises:
            ValueError: neither members nor a superclass to go by.
        """
        if self.members is not None:
            return self.members.get(label)
        if superclass is None:
            raise ValueError(
                f"{self.name} was read without members, so the annotations need the column superclass_50_label"
            )
        return superclass if superclass in self.labels else None


@dataclass(frozen=True)
class Constraint:
    """One published number beside ours; `holds` is None where it cannot be told from the vocabulary."""

    name: str
    published: float
    ours: float | None
    holds: bool | None
    note: str = ""


def space_of(config: str) -> str:
    """Label space of a config, named our way or the official one.

    Raises:
        ValueError: an unknown name.
    """
    if config in SPACES:
        return config
    if config not in OFFICIAL_CONFIGS:
        raise ValueError(f"config must be one of {', '.join((*SPACES, *OFFICIAL_CONFIGS))}, got {config!r}")
    return OFFICIAL_CONFIGS[config][0]


def label_space(name: str) -> LabelSpace:
    """The rebuilt space "fine150" (in the order of AnyMo-180) or "core50" (largest first)."""
    if name not in SPACES:
        raise ValueError(f"name must be one of {', '.join(SPACES)}, got {name!r}")
    kept = [label for label in anymo180() if label not in removed_labels()]
    if name == "fine150":
        return LabelSpace(name, tuple(kept), {label: label for label in kept})
    groups = _decisions()["core50"]
    members = {label: group for group, entry in groups.items() for label in entry["members"]}
    return LabelSpace(name, tuple(groups), {label: members[label] for label in kept})


def removed_labels() -> dict[str, str]:
    """The thirty AnyMo-180 labels that Fine150 leaves out, each with the reason."""
    return dict(_decisions()["fine150"]["removed"])


def core50_reasons() -> dict[str, str]:
    """Core50 class -> what its members have in common."""
    return {name: entry["why"] for name, entry in _decisions()["core50"].items()}


@cache
def _decisions() -> dict:
    return json.loads(_FILE.read_text(encoding="utf-8"))


def check_constraints(fine: LabelSpace | None = None, core: LabelSpace | None = None) -> list[Constraint]:
    """Every published number about the two spaces, with Table 7's counts as class sizes.

    Args:
        fine, core: spaces to judge; the rebuilt ones by default. Without members a space's sizes are not known.
    """
    counts = anymo180()
    found: list[Constraint] = []
    fine, core = fine or label_space("fine150"), core or label_space("core50")
    for space in (fine, core):
        title = space.name.capitalize()
        published = PUBLISHED[space.name]
        found.append(Constraint(f"{title} classes", published[0], len(space.labels), len(space.labels) == published[0]))
        names = ("windows", "smallest class", "largest class", "median class", "mean class")
        if space.members is None:
            note = "sizes of its classes are not known without members"
            found += [
                Constraint(f"{title} {n}", p, None, None, note) for n, p in zip(names, published[1:], strict=True)
            ]
            continue
        sizes = dict.fromkeys(space.labels, 0)
        for label, name in space.members.items():
            sizes[name] += counts[label]
        values = list(sizes.values())
        ours = (sum(values), min(values), max(values), median(values), sum(values) / len(values))
        for name, number, value in zip(names, published[1:], ours, strict=True):
            # the paper prints means with one digit and medians with none
            digits = 1 if name == "mean class" else 0
            found.append(Constraint(f"{title} {name}", number, value, round(value, digits) == number))
    if fine.members is not None:
        left = [label for label in EXCLUDED_LABELS if label in fine.members]
        found.append(Constraint("Excluded labels left in Fine150", 0, len(left), not left))
        if core.members is not None:
            apart = len(set(fine.members) ^ set(core.members))
            found.append(Constraint("Labels in one space only", 0, apart, apart == 0))
    note = "needs Nymeria's recordings and the authors' labels; `anymo bench statistics` counts it on what was built"
    found += [
        Constraint(name, number, None, None, note)
        for name, number in (
            ("Training rows of Fine150, long windows cut", 123_874), ("Test rows of Fine150, long windows cut", 30_965),
            ("Least test subjects of a class", 2), ("Least test windows of a class", 10), ("Hours", 211.6),
        )
    ]  # fmt: skip
    return found


def fine150_choices() -> int:
    """How many ways of leaving out thirty labels fit all published numbers of Fine150: it is not determined by them.

    Labels below 47 must go, the one of 47 stays; 412 and 410 in the middle stay (the median 411 as their mean).
    """
    sizes = sorted(anymo180().values(), reverse=True)
    above, middle = [n for n in sizes if n > 412], [n for n in sizes if 410 <= n <= 412]
    between, small = [n for n in sizes if 47 < n < 410], [n for n in sizes if n < 47]
    keep = 75 - 1  # on either side of the middle pair
    # the largest class is published, so it stays
    upper = _subsets(above[1:], len(above) - keep)
    lower = _subsets(between, len(between) + 1 - keep)
    missing = sum(sizes) - PUBLISHED["fine150"][1] - sum(small)
    assert middle == [412, 410]
    return sum(ways * lower.get(missing - total, 0) for total, ways in upper.items())


def _subsets(sizes: list[int], count: int) -> dict[int, int]:
    """Sum -> number of subsets of `count` members with that sum."""
    ways: list[dict[int, int]] = [{0: 1}, *({} for _ in range(count))]
    for size in sizes:
        for chosen in range(count, 0, -1):
            for total, number in ways[chosen - 1].items():
                if total + size < 4000:
                    ways[chosen][total + size] = ways[chosen].get(total + size, 0) + number
    return ways[count]


# -- official files ------------------------------------------------------------------------------------------------------


def read_label_space(path: str | Path, name: str, members: Mapping[str, str] | None = None) -> LabelSpace:
    """A label space from an official file.

    Args:
        path: `metadata/fine150_labels.json` or `core50_labels.json` of a Bench repository (label_id and label of each
            class), or a CSV with the column activity_label or superclass_50_label, a class each row.
        name: "fine150" or "core50".
        members: AnyMo-180 label -> Core50 class, where known, as `read_members` gives it.

    Raises:
        OSError: the file cannot be read.
        ValueError: another format, ids that do not count from zero, repeated labels, or labels that AnyMo-180 lacks.
    """
    path = Path(path)
    if name not in SPACES:
        raise ValueError(f"name must be one of {', '.join(SPACES)}, got {name!r}")
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        column = next((key for key in _COLUMNS[name][::-1] if rows and key in rows[0]), None)
        if column is None:
            raise ValueError(f"{path}: no column {_COLUMNS[name][1]}; give the official label counts")
        labels = list(dict.fromkeys(row[column].strip() for row in rows if row[column].strip()))
        labels = [label for label in labels if label not in EXCLUDED_LABELS]
    else:
        try:
            entries = parse_json(path.read_text(encoding="utf-8"))
            pairs = sorted((int(entry["label_id"]), str(entry["label"])) for entry in entries)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}: must be a JSON list of label_id and label ({error!r})") from error
        if [number for number, _ in pairs] != list(range(len(pairs))):
            raise ValueError(f"{path}: label_id must count from 0 to {len(pairs) - 1} without gaps")
        labels = [label for _, label in pairs]
    if not labels or len(set(labels)) != len(labels):
        raise ValueError(f"{path}: holds {len(labels)} labels of which {len(set(labels))} differ; every class once")
    if name == "fine150":
        if unknown := [label for label in labels if label not in anymo180()]:
            raise ValueError(f"{path}: {unknown[0]!r} is not a label of AnyMo-180; is this the file of Fine150?")
        members = {label: label for label in labels}
    elif members is not None and (foreign := set(members.values()) - set(labels)):
        raise ValueError(f"{path}: members name the class {sorted(foreign)[0]!r}, which it lacks")
    return LabelSpace(name, tuple(labels), members)


def read_members(path: str | Path) -> dict[str, str]:
    """AnyMo-180 label -> Core50 class from an official annotation CSV (activity_label and superclass_50_label).

    Raises:
        OSError: the file cannot be read.
        ValueError: a column is missing, or a label has two classes.
    """
    found: dict[str, str] = {}
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        for column in ("activity_label", "superclass_50_label"):
            if column not in (reader.fieldnames or ()):
                raise ValueError(f"{path}: no column {column}; give an official anymo_annotations.csv")
        for row in reader:
            label, group = row["activity_label"].strip(), row["superclass_50_label"].strip()
            if label and group and found.setdefault(label, group) != group:
                raise ValueError(f"{path}: {label!r} belongs to {found[label]!r} and to {group!r}")
    return found
