"""An attorney who works on leads while they come in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import httpx
from tests.soak.prospects import PAUSE, Prospects, name_of


@dataclass
class Desk:
    """An attorney who moves every second lead that comes in, and erases every eighth.

    `moved` has leads as they were shown then, by number; `erasing` are those that may be gone, `erased` those that are.
    """

    client: httpx.Client
    prospects: Prospects
    moved: dict[int, Any] = field(default_factory=dict)
    erasing: set[int] = field(default_factory=set)
    erased: set[int] = field(default_factory=set)
    seen: int = 0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Work until the context ends."""
        is_over = Event()

        def work() -> None:
            while not is_over.wait(PAUSE):
                for number, lead_id in [*self.prospects.acknowledged.items()][self.seen :]:
                    self._see(number, f"/leads/{lead_id}")
                    self.seen += 1

        thread = Thread(target=work, name="desk")
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def _see(self, number: int, path: str) -> None:
        if number % 8 == 3:
            self.erasing.add(number)
            self.client.delete(path).raise_for_status()
            self.erased.add(number)
        elif number % 2 == 0:
            change = {"state": "REACHED_OUT", "notes": f"{name_of(number)} called."}
            self.moved[number] = self.client.patch(path, json=change).raise_for_status().json()
