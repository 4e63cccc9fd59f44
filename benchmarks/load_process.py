"""The load generator from outside: started in a process of its own, and what the server used meanwhile."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.load import Load, Outcome
from benchmarks.processes import NotMeasured, Server, wait_for

MAILS_OF_A_LEAD = 2
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Measured:
    """An outcome, the milliseconds of processor time a request, and the seconds until the last mail was there."""

    outcome: Outcome
    cpu: float
    mails_after: float = 0


@contextmanager
def started(load: Load) -> Iterator["subprocess.Popen[bytes]"]:
    """A load under way; it ends with the context at the latest."""
    command = [sys.executable, "-m", "benchmarks.load", msgspec.json.encode(load).decode()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def outcome_of(process: "subprocess.Popen[bytes]") -> Outcome:
    """What came of a load, once it is over; raises NotMeasured when it broke off."""
    out, error = process.communicate()
    if process.returncode:
        raise NotMeasured(f"The load generator broke off: {error.decode()[-2000:]}")
    return msgspec.json.decode(out, type=Outcome)


def loaded(server: Server, **how: Any) -> Measured:
    """Put a server under load; submissions count with the work for their mails, which are waited for."""
    load = Load(urls=[server.url], token=server.token, **{"paths": [server.leads_path], **how})
    mails, cpu = count_of(server.mails), server.cpu()
    with started(load) as process:
        outcome = outcome_of(process)
    end = time.monotonic()
    if load.size is not None and server.sends_mails:
        owed = MAILS_OF_A_LEAD * outcome.statuses.get(201, 0)
        wait_for(lambda: count_of(server.mails) - mails >= owed)
    return Measured(outcome, (server.cpu() - cpu) / max(1, outcome.count) * 1000, time.monotonic() - end)


def count_of(folder: Path) -> int:
    """How many files there are; one that is being written begins with a dot."""
    return sum(not path.name.startswith(".") for path in folder.glob("*.eml")) if folder.exists() else 0


def settle(*servers: Server) -> None:
    """Empty what was sent, so that no disk fills up, and let nobody wait for what others have left to be written.

    The files stay, because ext4 goes around the inodes of the last minute's deleted files one by one: that took a
    seventh of the processor time of submissions, and no practice deletes thousands of files a minute.
    """
    for server in servers:
        for folder in (server.uploads, server.mails):
            for path in folder.glob("*"):
                with suppress(FileNotFoundError):  # one that was under way
                    os.truncate(path, 0)
    os.sync()
