"""What every request costs before anything is done for it: beside the same framework with nothing around it."""

from dataclasses import replace

from benchmarks.bench import Bench
from benchmarks.load_process import Measured, loaded
from benchmarks.rows import Row, Target
from benchmarks.servers import bare, service, signed_in

PART = "requests"
LIVE = "/health/live"
AT_ONCE = 16


def measure(bench: Bench) -> None:
    """Difference in processor time: ids, metrics, log and headers; and the same with a token that is checked.

    The check looks the session and its user up in the database each time, so that who is dismissed is out at once.
    """
    folder = bench.folder("crosscutting")
    found: dict[str, list[Measured]] = {}
    with bare("raw", folder) as raw, bare("framework", folder) as framework, service(folder) as ours:
        signed = replace(ours, token=signed_in(ours))
        cases = {"raw ASGI": (raw, LIVE), "Litestar": (framework, LIVE), LIVE: (ours, LIVE), "/me": (signed, "/me")}
        for name in bench.rounds("requests", [*cases]):
            server, path = cases[name]
            one = loaded(server, paths=[path], connections=AT_ONCE, seconds=bench.form.seconds * 0.8)
            found.setdefault(name, []).append(one)
    cpu = {name: [one.cpu for one in measured] for name, measured in found.items()}
    rates = {name: [one.outcome.rate for one in measured] for name, measured in found.items()}
    target = Target(0.25, 0.15, "figure")
    bench.add(
        Row(PART, "ids, metrics, log, headers: /health/live over Litestar's hello world", "CPU ms",
            _more(cpu[LIVE], cpu["Litestar"]), better="less", target=target),
        Row(PART, "the same and signed in: /me over Litestar's hello world", "CPU ms",
            _more(cpu["/me"], cpu["Litestar"]), better="less", target=target),
        Row(PART, "hello world, raw ASGI", "1/s", rates["raw ASGI"], cpu=cpu["raw ASGI"]),
        Row(PART, "hello world, Litestar", "1/s", rates["Litestar"], cpu=cpu["Litestar"], ceiling=rates["raw ASGI"]),
        Row(PART, "/health/live", "1/s", rates[LIVE], cpu=cpu[LIVE], ceiling=rates["raw ASGI"]),
        Row(PART, "/me, signed in", "1/s", rates["/me"], cpu=cpu["/me"], ceiling=rates["raw ASGI"]),
    )  # fmt: skip


def _more(these: list[float], those: list[float]) -> list[float]:
    return [one - other for one, other in zip(these, those, strict=True)]
