"""What attorneys wait for: lists, searches, leads, downloads, among few leads and among many, against the peer."""

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import httpx

from benchmarks.bench import Bench
from benchmarks.load_process import Measured, loaded
from benchmarks.processes import NotMeasured, Server
from benchmarks.prospects import prospects
from benchmarks.rows import Row, Target
from benchmarks.seeds import seeded, seeded_peer
from benchmarks.servers import peer, service, signed_in

PART = "desk"
PAGE = 50
DEEP = 20_000
"""The page that must be as fast as the first; the last one where there are fewer."""

AT_ONCE = 16
ROUNDS = 4
"""Even, because every other round goes the other way: what runs after what makes a fifth of a small difference."""

A_MILLION = 1_000_000
"""Leads, for which the time of a search was set."""

QUERIES = 200
Figures = dict[tuple[str, int], list[float]]
"""Of each round, by what was asked for and among how many leads."""

WARM_UP = 0.5


@dataclass
class Desk:
    """A running service, or peer, with so many leads."""

    server: Server
    leads: int

    def signed(self) -> Server:
        """The server with a token of now; one lasts a quarter of an hour, and the full form longer."""
        return replace(self.server, token=signed_in(self.server))

    def load(self, *paths: str, connections: int = 1, **how: float) -> Measured:
        """Ask for pages at these paths, for so many seconds, or so many requests; raises NotMeasured for a refusal."""
        measured = loaded(self.signed(), paths=paths, connections=connections, **how)
        if refused := [status for status in measured.outcome.statuses if status >= HTTPStatus.BAD_REQUEST]:
            raise NotMeasured(f"{self.server.name} answered {paths[0]} with {refused}")
        return measured


def measure(bench: Bench) -> None:
    """Start one service for each number of leads, and a peer for the two that it is compared at."""
    few, many, most, *_ = bench.form.leads
    with ExitStack() as stack:
        ours = {count: _opened(stack, seeded(bench, count), count) for count in bench.form.leads}
        theirs = {count: _opened_peer(stack, seeded_peer(bench, count), count) for count in (many, most)}
        _throughput(bench, ours, theirs)
        _latency(bench, ours, few, bench.form.leads[2:])
        _other(bench, ours[most], theirs[most])


def _opened(stack: ExitStack, folder: Path, leads: int) -> Desk:
    return _warm(Desk(stack.enter_context(service(folder)), leads))


def _opened_peer(stack: ExitStack, folder: Path, leads: int) -> Desk:
    return _warm(Desk(stack.enter_context(peer(folder)), leads))


def _warm(desk: Desk) -> Desk:
    desk.load(first_page(), seconds=WARM_UP, connections=AT_ONCE)
    return desk


def first_page(more: str = "") -> str:
    """The path of the first page of a list."""
    return f"/leads?limit={PAGE}{more}"


def _throughput(bench: Bench, ours: dict[int, Desk], theirs: dict[int, Desk]) -> None:
    found: dict[tuple[str, int], list[Measured]] = {}
    contestants = [desk for count in theirs for desk in (ours[count], theirs[count])]
    for desk in bench.rounds("desk: pages of a list", contestants):
        one = desk.load(first_page(), seconds=bench.form.seconds, connections=AT_ONCE)
        found.setdefault((desk.server.name, desk.leads), []).append(one)
    for count, target in zip(theirs, (Target(5, 10), Target(7, 12)), strict=True):
        us, them = found["service", count], found["peer", count]
        what = f"list {PAGE} of {count:,}, {AT_ONCE} at once"
        bench.add(
            Row(PART, what, "1/s", [one.outcome.rate for one in us], [one.outcome.rate for one in them],
                [one.cpu for one in us], target=target),
            Row(PART, f"{what}: 99 % answered within", "ms", [one.outcome.p99 for one in us],
                [one.outcome.p99 for one in them], better="less"),
        )  # fmt: skip


def _latency(bench: Bench, ours: dict[int, Desk], few: int, many: Sequence[int]) -> None:
    """One request at a time, because what differs by a tenth of a millisecond drowns in queues. `many` have rows."""
    kinds: dict[str, dict[int, list[str]]] = {
        "first page": {count: [first_page()] for count in ours},
        "deep page": {count: [first_page(f"&cursor={deep_cursor(desk, DEEP)}")] for count, desk in ours.items()},
        "search": {count: search_paths(count) for count in ours},
    }
    found: dict[tuple[str, int], list[Measured]] = {}
    cases = [(kind, count) for count in ours for kind in kinds]  # What is compared at one count stands side by side.
    for kind, count in cases:  # A search that nobody made since the machine started reads the disk for a second.
        ours[count].load(*kinds[kind][count], requests=2 * QUERIES)
    for kind, count in bench.rounds("desk: one at a time", cases, min(ROUNDS, bench.form.rounds)):
        how = {"requests": 2 * QUERIES} if kind == "search" else {"seconds": bench.form.seconds / 2}
        one = ours[count].load(*kinds[kind][count], **how)
        found.setdefault((kind, count), []).append(one)
    p50 = {case: [one.outcome.p50 for one in measured] for case, measured in found.items()}
    p99 = {case: [one.outcome.p99 for one in measured] for case, measured in found.items()}
    bench.series["latency"] = {kind: [[count, p50[kind, count], p99[kind, count]] for count in ours] for kind in kinds}
    cpu = {case: [one.cpu for one in measured] for case, measured in found.items()}
    for most in many:
        bench.add(*_latency_rows(few, most, p50, p99, cpu))


def _latency_rows(few: int, most: int, p50: Figures, p99: Figures, cpu: Figures) -> list[Row]:
    page = min(DEEP, most // PAGE)
    search = Target(50, 10, "figure") if most <= A_MILLION else None
    return [
        Row(PART, f"list {PAGE} of {most:,}, one at a time: half answered within", "ms", p50["first page", most],
            cpu=cpu["first page", most], better="less"),
        Row(PART, f"the same against {PAGE} of {few:,}", "times as long",
            _times(p50["first page", most], p50["first page", few]), better="less", target=Target(1.2, 1.05, "figure")),
        Row(PART, f"page {page:,} of {most:,} against page 1", "times as long",
            _times(p50["deep page", most], p50["first page", most]), better="less",
            target=Target(1.2, 1.05, "figure")),
        Row(PART, f"search of {most:,}: half answered within", "ms", p50["search", most],
            cpu=cpu["search", most], better="less"),
        Row(PART, f"search of {most:,}: 99 % answered within", "ms", p99["search", most], better="less",
            target=search),
    ]  # fmt: skip


def _times(these: list[float], those: list[float]) -> list[float]:
    return [one / other for one, other in zip(these, those, strict=True)]


def _other(bench: Bench, ours: Desk, theirs: Desk) -> None:
    """What else an attorney opens, among the most leads."""
    paths = {"one lead": "/leads/{}", "download of 100 KB": "/leads/{}/resume", "timeline": "/leads/{}/events",
             "list of those pending": first_page("&state=PENDING")}  # fmt: skip
    found: dict[tuple[str, str], list[Measured]] = {}
    cases = [(what, desk) for what in paths for desk in (ours, theirs) if what != "timeline" or desk is ours]
    for what, desk in bench.rounds("desk: leads and files", cases, min(ROUNDS, bench.form.rounds)):
        path = paths[what].format(_new_lead(desk))  # one whose timeline is not full of downloads
        one = desk.load(path, seconds=bench.form.seconds / 3, connections=AT_ONCE)
        found.setdefault((what, desk.server.name), []).append(one)
    for what in paths:
        us, them = found[what, "service"], found.get((what, "peer"), [])
        rates = [one.outcome.rate for one in them]
        cpu = [one.cpu for one in us]
        name = f"{what} of {ours.leads:,}, {AT_ONCE} at once"
        bench.add(Row(PART, name, "1/s", [one.outcome.rate for one in us], rates, cpu))


def _new_lead(desk: Desk) -> str:
    """The id of a lead with a file."""
    answers = desk.server.folder / "answers"
    loaded(desk.server, size=100_000, requests=1, connections=1, answers=str(answers))
    return str(json.loads(answers.read_bytes().partition(b" ")[2])["id"])


def deep_cursor(desk: Desk, page: int) -> str:
    """The cursor of a page far down the list, found as everybody would and kept beside the leads."""
    kept = desk.server.folder / "deep-cursor"
    if not kept.exists():
        headers, step = {"Authorization": f"Bearer {desk.signed().token}"}, 2 * PAGE
        cursor = ""
        with httpx.Client(base_url=desk.server.url, headers=headers) as client:
            for _ in range(PAGE * (min(page, desk.leads // PAGE) - 1) // step):
                found = client.get(f"/leads?limit={step}{cursor}").raise_for_status().json()
                cursor = f"&cursor={found['next_cursor']}"
        kept.write_text(cursor.removeprefix("&cursor="))
    return kept.read_text()


def search_paths(leads: int) -> list[str]:
    """Searches as people type them: whole names, beginnings, two words, addresses, and what nobody is called."""
    return [f"{first_page()}&q={quote(query)}" for query in islice(_queries(leads), QUERIES)]


def _queries(leads: int) -> Iterator[str]:
    chance = random.Random(leads)
    for person in prospects(leads):
        yield chance.choice(
            (
                person.first_name,
                person.last_name,
                person.last_name[:3],
                person.first_name[:1],
                f"{person.first_name} {person.last_name}",
                f"{person.last_name[:4]} {person.first_name[:2]}",
                person.email,
                f"{person.last_name}zzz",
            )
        )
