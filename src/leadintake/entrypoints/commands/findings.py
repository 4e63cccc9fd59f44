"""What the doctor finds, part by part."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What to make of a finding."""

    OK = "ok"
    NOTE = "note"
    MENDED = "mended"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    about: str
    verdict: Verdict
    detail: str


def as_far_as_possible(about: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings about a part; where the system refuses to go on, that is the last one."""
    try:
        yield from findings
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        yield Finding(about, Verdict.WRONG, f"{place}{error.strerror or error}.")
