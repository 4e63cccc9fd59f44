"""What the documentation names is there: files, headings, make targets, commands and settings."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.pages import ROOT, page

from leadintake.entrypoints.cli import main
from leadintake.entrypoints.settings import SETTINGS, name_of

PAGES = [str(path.relative_to(ROOT)) for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])]
PLACES = (ROOT, ROOT / "src" / "leadintake")
"""Where a file that is named in code style is looked for."""

LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w./-]+\.(?:md|py|toml|txt)")
TARGET = re.compile(r"(?:^|\$ )make ([a-z-]+)")
COMMAND = re.compile(r"(?:^|bin/|-r )leadintake (?=[a-z])([^|`]+)")
SETTING = re.compile(r"\b(LEADINTAKE_[A-Z_]+|DATABASE_URL)\b")


def prose(name: str) -> str:
    """A page without its blocks of code."""
    return FENCED.sub("", page(name))


def code(name: str) -> Iterator[str]:
    """What stands in code style on a page: spans, and lines of blocks."""
    yield from CODE.findall(prose(name))
    for block in FENCED.findall(page(name)):
        yield from block.splitlines()


def anchors(name: str) -> set[str]:
    """What the headings of a page are linked by."""
    headings = re.findall(r"^#+ (.+)$", prose(name), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """Each relative link names a file that is there, and a heading of it."""
    for target, anchor in LINK.findall(prose(name)):
        path = ((ROOT / name).parent / target).resolve() if target else ROOT / name

        assert path.exists(), target
        assert not anchor or anchor in anchors(str(path.relative_to(ROOT))), f"{target}#{anchor}"


@pytest.mark.parametrize("name", PAGES)
def test_files_that_are_named_are_there(name: str) -> None:
    """Each file in code style is there: from the root, from the package, or beside the page."""
    beside = (ROOT / name).parent
    for file in filter(FILE.fullmatch, CODE.findall(prose(name))):
        assert any((place / file).exists() for place in (*PLACES, beside)), file


@pytest.mark.parametrize("name", PAGES)
def test_make_targets_are_there(name: str) -> None:
    """Each `make` target is one of the Makefile."""
    known = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))

    assert {target for line in code(name) for target in TARGET.findall(line)} <= known


@pytest.mark.parametrize("name", PAGES)
def test_commands_are_there(name: str) -> None:
    """Each command of leadintake is one, and has the options that it is shown with."""
    for line in code(name):
        for text in COMMAND.findall(line):
            command: click.Command = main
            words = text.split()
            while isinstance(command, click.Group) and words:
                found = command.get_command(click.Context(command), words.pop(0))
                assert found, line
                command = found
            options = {option for parameter in command.params for option in parameter.opts}

            assert {word for word in words if word.startswith("--")} <= options | {"--help"}, line


@pytest.mark.parametrize("name", PAGES)
def test_settings_are_there(name: str) -> None:
    """Each setting is one that is read."""
    known = {name_of(attribute) for attribute in SETTINGS}

    assert {setting.removesuffix("_FILE") for setting in SETTING.findall(page(name))} <= known | {"LEADINTAKE_"}


def test_no_page_is_lost() -> None:
    """The README leads to every page of docs/, but the decisions, which the architecture leads to."""
    assert {str(path.relative_to(ROOT)) for path in Path(ROOT / "docs").glob("*.md")} <= {
        target for target, _ in LINK.findall(page("README.md"))
    }
