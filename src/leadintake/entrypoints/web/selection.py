"""Which leads a list shows: read from the address, and written into the addresses of links."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from leadintake.application.ports.database import LeadQuery
from leadintake.domain.errors import Invalid
from leadintake.domain.lead import State
from leadintake.domain.search import query_words
from leadintake.entrypoints.http.reading import AnyRequest

PAGE_SIZE = 50


class Tab(StrEnum):
    """The lists there are."""

    WAITING = "waiting"
    REACHED_OUT = "reached-out"
    ALL = "all"
    QUARANTINE = "quarantine"


STATES = {Tab.WAITING: State.PENDING, Tab.REACHED_OUT: State.REACHED_OUT, Tab.ALL: None, Tab.QUARANTINE: None}


@dataclass(frozen=True, slots=True)
class Selection:
    """One list. `wrong` says why nothing can be searched for; it is not part of the address."""

    tab: Tab = Tab.WAITING
    q: str = ""
    is_turned: bool = False
    words: tuple[str, ...] = field(default=(), compare=False)
    wrong: str = field(default="", compare=False)

    @classmethod
    def read(cls, request: AnyRequest) -> "Selection":
        """What an address asks for. What is not understood is as if it were not there, so that old links still work."""
        given = request.query_params
        tab = given.get("state", "")
        selection = cls(Tab(tab) if tab in set(Tab) else Tab.WAITING, given.get("q", "").strip(), "turned" in given)
        if not selection.q:
            return selection
        try:
            return replace(selection, words=tuple(query_words(selection.q)))
        except Invalid as error:
            return replace(selection, wrong=error.errors[0].message)

    @property
    def oldest_first(self) -> bool:
        """Whoever waits longest comes first; of what is done, the latest. `is_turned` is the other way round."""
        return (self.tab == Tab.WAITING) != self.is_turned

    @property
    def query(self) -> LeadQuery:
        """The same as the application asks it."""
        return LeadQuery(
            state=STATES[self.tab],
            words=self.words,
            oldest_first=self.oldest_first,
            limit=PAGE_SIZE,
            quarantined=self.tab == Tab.QUARANTINE,
        )

    def parameters(self, **more: str) -> str:
        """The end of an address, with its question mark; empty for the list that opens first."""
        named = {
            "state": "" if self.tab == Tab.WAITING else self.tab,
            "q": self.q,
            "turned": "yes" if self.is_turned else "",
            **more,
        }
        given = {name: text for name, text in named.items() if text}
        return f"?{urlencode(given)}" if given else ""

    def but(self, **changes: Any) -> "Selection":
        """The same list with something else about it."""
        return replace(self, **changes)
