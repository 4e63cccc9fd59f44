"""What the doctor finds, part by part."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

SAID = re.compile(r"<Code>(.*?)</Code>\s*<Message>(.*?)</Message>", re.DOTALL)
CHARACTERS_MAX = 300

CLOCK_DRIFT = timedelta(seconds=5)
"""As much as a token may seem to come from the future (CLOCK_DRIFT in leadintake.adapters.security.tokens)."""


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


def why(error: Exception) -> str:
    """What lies behind an error, in one line: of a store that answers with XML, its code and message."""
    text = str(error.__cause__ or error)
    if said := SAID.search(text):
        return f"{said[1]}: {said[2]}"
    line = "; ".join(filter(None, map(str.strip, text.splitlines())))
    return line if len(line) <= CHARACTERS_MAX else f"{line[:CHARACTERS_MAX]} ..."


def clock_findings(about: str, theirs: datetime) -> Iterator[Finding]:
    """Whether the clock of another machine, which shows this time now, is in step with this one's."""
    behind = (datetime.now(UTC) - theirs).total_seconds()
    if abs(behind) > CLOCK_DRIFT.total_seconds():
        which = "ahead of" if behind > 0 else "behind"
        detail = f"This machine's clock is {abs(behind):,.0f} seconds {which} theirs. Keep both in step (NTP)."
        yield Finding(about, Verdict.WRONG, detail)


def as_far_as_possible(about: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings about a part; where the system refuses to go on, that is the last one."""
    try:
        yield from findings
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        yield Finding(about, Verdict.WRONG, f"{place}{error.strerror or error}.")
