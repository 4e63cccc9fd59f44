"""How long after its 201 both mails of a lead are there: files in the folder of mails, by when they got their names."""

import json
import re
from collections import defaultdict
from pathlib import Path

from benchmarks.figures import percentile
from benchmarks.load_process import MAILS_OF_A_LEAD

NAMED = re.compile(rb"LD-[0-9A-Z]{8}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What of a lead stands in its mails: the reference, and in those of the peer the id."""

NANOSECONDS_A_MILLISECOND = 10**6


def delays(answers: Path, mails: Path) -> tuple[float, float]:
    """Milliseconds within which both mails of half of all leads were there, and of 99 percent.

    A mail counts from when its file got its name, which is the last change to the file's entry.
    """
    there: dict[bytes, list[int]] = defaultdict(list)
    for mail in mails.glob("[!.]*.eml"):
        for name in set(NAMED.findall(mail.read_bytes())):
            there[name].append(mail.stat().st_ctime_ns)
    waits = []
    for line in answers.read_bytes().splitlines():
        at, _, body = line.partition(b" ")
        lead = json.loads(body)
        both = there.get(lead.get("reference", lead.get("id", "")).encode(), [])
        if len(both) >= MAILS_OF_A_LEAD:
            waits.append((max(both) - int(at)) / NANOSECONDS_A_MILLISECOND)
    waits.sort()
    return percentile(waits, 50), percentile(waits, 99)
