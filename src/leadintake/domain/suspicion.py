"""Whether a submission looks like the work of a robot. If so, it is kept in quarantine until a person has seen it."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Reason(StrEnum):
    """What is suspicious about a submission."""

    TRAP = "trap"
    TOO_FAST = "too-fast"
    LINKS = "links"
    LINK = "link"
    NO_TICKET = "no-ticket"


POINTS = {Reason.TRAP: 3, Reason.TOO_FAST: 3, Reason.LINKS: 3, Reason.LINK: 2, Reason.NO_TICKET: 1}
"""How much each counts. A page that was left open for days may have no good ticket, so that alone is little."""

ENOUGH = 3
"""With so many points a submission goes to quarantine."""

ADDRESS = re.compile(r"://(?:www\.)?|www\.")
"""How the address of a website begins, found once in each. No name of a person contains it."""


@dataclass(frozen=True, slots=True)
class FormTrace:
    """How a form of the page was filled in, as far as that shows.

    `is_trapped` says that something is in its trap, or honeypot: a field that people neither see nor reach. `waited` is
    the time since it was shown, None where its ticket is not ours.
    """

    is_trapped: bool
    waited: timedelta | None


def suspicion(
    first_name: str, last_name: str, trace: FormTrace | None, fastest_person: timedelta
) -> tuple[Reason, ...]:
    """Return why a submission belongs in quarantine; nothing where it does not.

    `trace` is None for what came by the API, where only the names can be judged. Nobody fills in the form within
    `fastest_person`; a form from the future only shows that the clocks of two servers differ.
    """
    found = set()
    if trace is not None:
        if trace.is_trapped:
            found.add(Reason.TRAP)
        if trace.waited is None:
            found.add(Reason.NO_TICKET)
        elif timedelta() <= trace.waited < fastest_person:
            found.add(Reason.TOO_FAST)
    names = unicodedata.normalize("NFKC", f"{first_name} {last_name}").casefold()
    if links := len(ADDRESS.findall(names)):
        found.add(Reason.LINK if links == 1 else Reason.LINKS)
    if sum(POINTS[reason] for reason in found) < ENOUGH:
        return ()
    return tuple(reason for reason in Reason if reason in found)
