"""Leads as rows: as the service would have written them, with search words, events, and mails that went out or wait."""

import json
import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from benchmarks.prospects import Prospect, prospects
from leadintake.adapters.sql import tables
from leadintake.domain.delivery import GIVE_UP_AFTER, Channel, Purpose, Status, message_id
from leadintake.domain.events import ActorKind, EventKind
from leadintake.domain.lead import State
from leadintake.domain.search import words
from leadintake.domain.values import REFERENCE_BITS, UUID7_RANDOM_BITS, reference, uuid7

MICROSECONDS = 10**6
FIRM = tables.FIRST_FIRM.bytes
A_YEAR = 365 * 86_400 * MICROSECONDS
SHA256 = "0" * 64
ATTORNEY = "admin@example.com"
PENDING_SHARE = 0.05
"""Which part of the leads nobody has reached out to yet."""

REFERENCES_APART = 679_891_637_639
"""Odd, so that none comes twice. By chance, one of a million would, in four of ten runs."""

DELIVERIES = ((Purpose.CONFIRMATION, ""), (Purpose.NOTIFICATION, ATTORNEY))
Values = tuple[object, ...]

INSERT_LEAD, INSERT_WORD, INSERT_EVENT, INSERT_DELIVERY = (
    str(sa.insert(table).compile(dialect=sqlite.dialect()))
    for table in (tables.leads, tables.lead_words, tables.events, tables.deliveries)
)


@dataclass
class Rows:
    """The rows of some leads, in the order of their tables' columns."""

    leads: list[Values] = field(default_factory=list)
    words: list[Values] = field(default_factory=list)
    events: list[Values] = field(default_factory=list)
    deliveries: list[Values] = field(default_factory=list)

    def insert(self, into: sqlite3.Connection) -> None:
        """Store them. Words go in their order, so that they meet each page of their index once."""
        into.executemany(INSERT_LEAD, self.leads)
        into.executemany(INSERT_WORD, sorted(self.words))
        into.executemany(INSERT_EVENT, self.events)
        into.executemany(INSERT_DELIVERY, self.deliveries)


class Maker:
    """Makes leads that arrived one after the other, from `since` on, in microseconds since 1970.

    `event_id` is that of the first event; with `owed` the mails are still to be sent.
    """

    def __init__(self, *, since: int, apart: int, admin_id: bytes, event_id: int = 1, owed: bool = False) -> None:
        self._chance = random.Random(since)
        self._prospects = prospects(since)
        self._at, self._apart, self._admin_id, self._event_id = since, apart, admin_id, event_id
        self._owed = owed
        self._number = self._chance.getrandbits(REFERENCE_BITS)

    def batches(self, count: int, size: int) -> Iterator[Rows]:
        """So many leads, at most `size` at a time."""
        for done in range(0, count, size):
            rows = Rows()
            for prospect in islice(self._prospects, min(size, count - done)):
                self._add(rows, prospect)
            yield rows

    def _id(self) -> bytes:
        return uuid7(self._at // 1000, self._chance.getrandbits(UUID7_RANDOM_BITS)).bytes

    def _add(self, rows: Rows, prospect: Prospect) -> None:
        lead_id, at = self._id(), self._at
        self._number = (self._number + REFERENCES_APART) % 2**REFERENCE_BITS
        code = reference(self._number)
        found = words(f"{prospect.first_name} {prospect.last_name} {prospect.email} {code}")
        is_pending = self._chance.random() < PENDING_SHARE
        state, handled = (State.PENDING, (None, None)) if is_pending else (State.REACHED_OUT, (at, self._admin_id))
        path = f"{UUID(int=self._chance.getrandbits(128), version=4)}.pdf"
        rows.leads.append(
            (lead_id, FIRM, code, *prospect, "".join(f" {word}" for word in found), state, "", path, "cv.pdf", "pdf",
             100_000, SHA256, "", at, at, *handled, 1, None)
        )  # fmt: skip
        rows.words += [(FIRM, word, at, lead_id) for word in found]
        data = json.dumps({"resume_kind": "pdf", "resume_size": 100_000})
        event = (self._event_id, FIRM, lead_id, EventKind.SUBMITTED, at, ActorKind.PROSPECT, None, data)
        rows.events.append(event)
        if not is_pending:
            moved = (EventKind.REACHED_OUT, at, ActorKind.USER, self._admin_id, "{}")
            rows.events.append((self._event_id + 1, FIRM, lead_id, *moved))
        for purpose, recipient in DELIVERIES:
            self._owe(rows, lead_id, purpose, recipient or prospect.email)
        self._event_id += 1 if is_pending else 2
        self._at += self._apart

    def _owe(self, rows: Rows, lead_id: bytes, purpose: Purpose, to: str) -> None:
        delivery_id, at = self._id(), self._at
        name = message_id(UUID(bytes=delivery_id), "example.com")
        until = at + GIVE_UP_AFTER // timedelta(microseconds=1)
        status = (Status.PENDING, name, 0, at) if self._owed else (Status.SENT, name, 1, None)
        rows.deliveries.append(
            (delivery_id, FIRM, lead_id, self._event_id, Channel.EMAIL, purpose, to, to, *status, None, until,
             None if self._owed else at, None, at)
        )  # fmt: skip


def owe(database: sqlite3.Connection, leads: int, at_once: int) -> None:
    """Add leads of just now whose mails are still to be sent, so many in a transaction."""
    ((admin_id,),) = database.execute("SELECT id FROM users LIMIT 1")
    ((last,),) = database.execute("SELECT coalesce(max(id), 0) FROM events")
    now = time.time_ns() // 1000
    maker = Maker(since=now - leads, apart=1, admin_id=admin_id, event_id=last + 1, owed=True)
    for rows in maker.batches(leads, at_once):
        with database:
            rows.insert(database)
