"""What the doctor finds, part by part."""

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
