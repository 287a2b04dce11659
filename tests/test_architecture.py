"""The arrows between the rooms, read from the imports: who may know of whom."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("fhir_server", "mappings", "profiles", "seed")

# The door to records is one room, though it takes several files.
THE_ONE_DOOR = {
    *(
        "repository",
        "records",
        "history",
        "conditional",
        "transactions",
        "searching",
        "finding",
        "sight",
        "admission",
        "joining",
        "hierarchies",
        "expansions",
        "inclusion",
        "containing",
        "catalogue",
    ),
    *("exporting", "export_order", "importing", "rehearsing"),
    *("auditing", "audit_shipping", "audit_verifying"),
    *("writing", "merging", "bundle_entries", "definitions", "profile_enforcement"),
}

BASE = {"errors", "config", "epochs"}
DOMAIN = {"resource", "r4"}

# What each room of fhir_server may import from the others. A new room gets a row here before it gets a line of code.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "config": set(),
    "translation": set(),
    "epochs": set(),
    "r4": {"errors"},
    "resource": {"r4", "errors"},
    "search": DOMAIN | {"errors"},
    "patch": DOMAIN | {"errors"},
    "access": DOMAIN | BASE | {"search", "translation"},
    "store": DOMAIN | {"errors", "epochs", "search"},
    "terminology": DOMAIN | {"errors", "search"},
    "repository": DOMAIN | {"errors", "search", "access", "store", "patch", "terminology", "profiles"},
    "operations": DOMAIN | {"errors", "search", "access", "repository", "mappings"},
    "rest": DOMAIN | BASE | {"access", "repository", "patch", "operations", "search", "terminology"},
    "citizen": DOMAIN | BASE | {"access", "repository", "operations", "store", "translation", "mappings"},
    "desk": DOMAIN | BASE | {"access", "repository", "translation", "citizen", "intake", "mappings", "search"},
    "intake": DOMAIN | BASE | {"access", "repository", "search", "mappings", "citizen"},
    "app": BASE | {"access", "rest", "citizen", "desk", "intake", "repository"},
    "commands": DOMAIN
    | BASE
    | {"app", "access", "profiles", "citizen", "desk", "intake", "operations", "repository", "store"},
    "cli": BASE | {"commands", "access", "citizen", "mappings", "store"},
}
OTHERS_MAY_IMPORT: dict[str, set[str]] = {
    "mappings": {"r4", "resource"},
    "profiles": {"mappings"},
    "seed": {"mappings"},
}

MAY_IMPORT_FLASK = {"rest", "citizen", "desk", "access", "intake", "app"}
# Tokens are kept in one room and records in another; what ends either is told in the transaction of each.
MAY_IMPORT_PYMONGO = {"store", "epochs"}


def _files() -> list[Path]:
    return sorted(path for top in OURS for path in (ROOT / top).rglob("*.py"))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, wherever in it."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def _room(module: str) -> str | None:
    """The room a module of ours is in; None for the package fhir_server itself and for what is not ours."""
    parts = module.split(".")
    if parts[0] != "fhir_server":
        return parts[0] if parts[0] in OURS else None
    if len(parts) == 1 or not ((ROOT / "fhir_server" / parts[1]).is_dir() or _is_module(parts[1])):
        return None
    return "repository" if parts[1] in THE_ONE_DOOR else parts[1]


def _is_module(name: str) -> bool:
    return (ROOT / "fhir_server" / f"{name}.py").is_file()


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _third_party(path: Path) -> Iterator[tuple[int, str]]:
    for line, name in _imports(path):
        top = name.split(".")[0]
        if top not in OURS and top not in sys.stdlib_module_names:
            yield line, name


def test_every_arrow_between_rooms_is_an_allowed_one() -> None:
    allowed = MAY_IMPORT | OTHERS_MAY_IMPORT
    wrong = []
    for path in _files():
        room = _room(_module(path))
        if room is None:
            continue
        assert room in allowed, f"{path.relative_to(ROOT)}: the room {room} has no row in MAY_IMPORT"
        for line, name in _imports(path):
            target = _room(name)
            if target not in {None, room} and target not in allowed[room]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert wrong == []


def test_the_allowed_arrows_have_no_circle() -> None:
    allowed = MAY_IMPORT | OTHERS_MAY_IMPORT
    left = dict(allowed)
    while left:
        free = [room for room, targets in left.items() if not targets & set(left)]
        assert free, f"these rooms import each other in a circle: {sorted(left)}"
        for room in free:
            del left[room]


@pytest.mark.parametrize(
    ("packages", "rooms"),
    [({"pymongo", "bson", "gridfs"}, MAY_IMPORT_PYMONGO), ({"flask", "werkzeug"}, MAY_IMPORT_FLASK)],
    ids=["pymongo", "Flask"],
)
def test_a_package_is_known_only_where_it_belongs(packages: set[str], rooms: set[str]) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _files()
        for line, name in _third_party(path)
        if name.split(".")[0] in packages and _room(_module(path)) not in rooms
    ]
    assert wrong == []


def test_mappings_know_neither_clock_nor_chance_nor_network() -> None:
    forbidden = {"random", "secrets", "time", "socket", "urllib.request", "http.client", "uuid.uuid1", "uuid.uuid4"}
    moments = {"now", "today", "utcnow"}
    wrong = []
    for path in sorted((ROOT / "mappings").rglob("*.py")):
        for line, name in _imports(path):
            if any(name == each or name.startswith(f"{each}.") for each in forbidden):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in moments:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} asks what time it is")
    assert wrong == []


def test_every_package_imported_is_one_the_installation_asks_for() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    asked = {
        _plain(re.split(r"[ <>=;~!]", line)[0])
        for line in setup["options"]["install_requires"].splitlines()
        if line.strip()
    }
    distributions = packages_distributions()
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _files()
        for line, name in _third_party(path)
        if not asked & {_plain(each) for each in distributions.get(name.split(".")[0], [])}
    ]
    assert wrong == []


def _plain(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_no_module_is_named_for_being_a_drawer_of_odds_and_ends() -> None:
    drawers = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "tools"}
    assert [str(path.relative_to(ROOT)) for path in _files() if path.stem in drawers] == []


def test_every_module_starts_by_saying_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in _files()
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_every_folder_of_ours_has_a_name_that_packaging_takes_along():
    """Folders whose names are no identifiers, such as `qr-0.7.0`, are left out of an installation without a word."""
    folders = {path.parent.relative_to(ROOT) for top in OURS for path in (ROOT / top).rglob("*") if path.is_file()}
    assert [each for each in folders if not all(part.isidentifier() for part in each.parts)] == []
