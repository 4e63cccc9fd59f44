"""What the service is built on: nothing with a hole that is known, and nothing that was not locked."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from tests.pages import ROOT, page

FIXED = {
    "CVE-2024-53861": ("pyjwt", "2.10.1"),
    "CVE-2025-27516": ("jinja2", "3.1.6"),
    "CVE-2025-43859": ("h11", "0.16"),
    "CVE-2026-25479": ("litestar", "2.20"),
    "CVE-2026-25480": ("litestar", "2.20"),
    "CVE-2026-28356": ("multipart", "1.3.1"),
    "CVE-2026-32597": ("pyjwt", "2.12"),
    "CVE-2026-45409": ("idna", "3.15"),
}
"""The first release without the hole, as its advisory says."""

PROJECT = tomllib.loads(page("pyproject.toml"))
DIRECT = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
GROUPS = [Requirement(text) for group in ("build", "test") for text in PROJECT["dependency-groups"][group]]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def floor(requirement: Requirement) -> Version:
    """The lowest release that a requirement takes."""
    [least] = [part for part in requirement.specifier if part.operator == ">="]
    return Version(least.version)


@pytest.mark.asvs("V15.2.1")
@pytest.mark.parametrize("requirement", [*DIRECT, *GROUPS], ids=lambda requirement: requirement.name)
def test_nothing_below_its_floor_is_installed(requirement: Requirement) -> None:
    """A release with a hole that a floor rules out is not what runs here."""
    if requirement.marker is None or requirement.marker.evaluate():
        assert Version(version(requirement.name)) >= floor(requirement)


@pytest.mark.asvs("V15.1.1", "V15.2.1")
def test_a_floor_is_above_the_hole() -> None:
    """Each hole that stands beside a floor is closed by it, and each that is known stands there."""
    floors = {requirement.name: floor(requirement) for requirement in DIRECT}
    named = {
        (hole, Requirement(text).name)
        for text, comment in re.findall(r'^    "([^"]+)",\s+# (.+)$', page("pyproject.toml"), re.MULTILINE)
        for hole in re.findall(r"CVE-\d{4}-\d+", comment)
    }

    assert named == {(hole, name) for hole, (name, _) in FIXED.items()}
    for name, fixed in FIXED.values():
        assert floors[name] >= Version(fixed)


@pytest.mark.asvs("V15.1.2", "V15.2.1")
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_everything_is_locked_by_hash(lock: Path) -> None:
    """Each line of a lock is one release with its hashes, at no address."""
    text = "".join(line for line in lock.read_text().splitlines(keepends=True) if not line.lstrip().startswith("#"))
    entries = text.replace("\\\n", " ").splitlines()

    assert entries
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+==\S+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", entry), entry
