"""Prospects: names as common as they are, in an order that is the same in each run."""

import itertools
import random
import uuid
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from faker.providers.person.en_US import Provider
from tests.names import real_names

BOUNDARY = "of-the-benchmark"
RARE = 0.1
"""Which part of all prospects has names from anywhere."""


class Prospect(NamedTuple):
    """Who sends a form."""

    first_name: str
    last_name: str
    email: str


def prospects(seed: int | None = None) -> Iterator[Prospect]:
    """Prospects without end, each with an address of its own; without a seed, never the same twice."""
    run = f"{seed:x}" if seed is not None else uuid.uuid4().hex[:8]
    chance = random.Random(run)
    first_names, last_names = _drawn(chance, Provider.first_names), _drawn(chance, Provider.last_names)
    for number, first, last in zip(itertools.count(1), first_names, last_names, strict=False):
        name = f"{first}.{last}".lower() if f"{first}{last}".isascii() else "prospect"
        local = "".join(c for c in name if c.isalnum() or c == ".")
        yield Prospect(first, last, f"{local}.{run}{number}@example.org")


def _drawn(chance: random.Random, weights: dict[str, float]) -> Iterator[str]:
    names, rare = [*weights], list(real_names())
    common = list(itertools.accumulate(weights.values()))
    while True:
        drawn = chance.choices(names, cum_weights=common, k=1000)
        yield from (chance.choice(rare) if chance.random() < RARE else name for name in drawn)


@cache
def _file_part() -> str:
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="resume"; filename="cv.pdf"\r\n'
        "Content-Type: application/pdf\r\n\r\n"
    )


def form_of(prospect: Prospect) -> tuple[str, bytes, bytes]:
    """The media type of a form, what stands before its file, and what stands behind."""
    fields = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in prospect._asdict().items()
    )
    return (
        f"multipart/form-data; boundary={BOUNDARY}",
        (fields + _file_part()).encode(),
        f"\r\n--{BOUNDARY}--\r\n".encode(),
    )
