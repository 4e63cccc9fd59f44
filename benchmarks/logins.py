"""How long the event loop stands still while people sign in, seen from outside: the slowest answer of all."""

from urllib.parse import urlencode

from benchmarks.bench import Bench
from benchmarks.load import Load
from benchmarks.load_process import outcome_of, started
from benchmarks.rows import Row, Target
from benchmarks.servers import ADMIN, new_password, service

PART = "logins"
AT_ONCE = 12
HEALTH = "/health/live"


def measure(bench: Bench) -> None:
    """Ask whether it lives, again and again, first alone and then while twelve people sign in without a pause.

    The answer takes no I/O, so it is late only when the loop is. That the generator is late itself counts against us.
    """
    alone, during, rates = list[float](), list[float](), list[float]()
    with service(bench.folder("logins")) as server:
        form = urlencode({"username": ADMIN, "password": new_password(server.folder)})
        logins = Load(
            urls=[server.url], paths=["/auth/token"], form=form, connections=AT_ONCE, seconds=bench.form.seconds
        )
        for _ in bench.each("logins", range(bench.form.rounds)):
            alone.append(_slowest(server.url, bench.form.seconds / 2))
            with started(logins) as process:
                during.append(_slowest(server.url, bench.form.seconds - 0.5))
                rates.append(outcome_of(process).rate)
    bench.add(
        Row(PART, f"slowest answer of {HEALTH} during logins, {AT_ONCE} at once", "ms", during, better="less",
            target=Target(20, 10, "figure")),
        Row(PART, "the same with nobody signing in", "ms", alone, better="less"),
        Row(PART, "logins", "1/s", rates),
    )  # fmt: skip


def _slowest(url: str, seconds: float) -> float:
    load = Load(urls=[url], paths=[HEALTH], connections=1, seconds=seconds)
    with started(load) as process:
        return outcome_of(process).most
