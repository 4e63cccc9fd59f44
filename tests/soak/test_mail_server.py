"""A mail server that says all that it may say, at each stage."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import pytest
from tests.deployment import Running, running, soon
from tests.smtp import Fault, MailServer
from tests.soak.ledger import Row, Scale
from tests.soak.setups import HASTY, OnPostgres, command, submit
from tests.soak.store import Owed, Store

CODES = (421, 450, 451, 452, 454, 500, 501, 530, 535, 550, 552, 553, 554)
STAGES = ("MAIL", "RCPT", "DATA", "CONTENT")
HANGS_UP = 0


def meaning(stage: str, code: int) -> str:
    """What an answer means (RFC 5321 section 4.2.1, RFC 4954 section 6), as docs/reliability.md promises it."""
    if code in {530, 535}:
        return "to be mended"
    if code < 500:
        return "later"
    return "to be mended" if stage == "MAIL" else "never"


@dataclass(frozen=True)
class Cell:
    """One answer at one stage, while a lead comes in."""

    stage: str
    code: int

    def __str__(self) -> str:
        return f"{self.code or 'no answer'} at {self.stage}"

    def problems(self, service: Running, mail: MailServer, store: Store) -> Iterator[str]:
        """Have the server say so until both mails of a lead have met it, then no more."""
        mail.always[self.stage] = f"{self.code} 5.0.0 as it was told" if self.code else Fault.HANG_UP
        lead_id = submit(service, "ada@client.example").replace("-", "")
        found = soon(lambda: self._met(store, lead_id)) or store.owed(lead_id)
        mail.always.clear()
        done = "failed" if meaning(self.stage, self.code) == "never" else "sent"
        end = soon(lambda: all(one.status == done for one in store.owed(lead_id))) and store.owed(lead_id)
        if not end:
            yield f"{self}: {[one.status for one in store.owed(lead_id)]} in the end"
            return
        tries = Counter(one.attempts for one in end)
        if meaning(self.stage, self.code) == "later":
            if min(tries) < 2:
                yield f"{self}: {tries} tries"
        elif set(tries) != {1}:
            yield f"{self}: {tries} tries, of which only those count that were about the mail"
        if any(one.status == "failed" for one in found) and done != "failed":
            yield f"{self}: given up"

    def _met(self, store: Store, lead_id: str) -> list[Owed]:
        """The mails of a lead, when all of them have met the answer, or one has that is to be mended by somebody."""
        owed = store.owed(lead_id)
        met = [one for one in owed if str(self.code or "hung up") in (one.last_error or "")]
        return owed if len(met) >= (1 if meaning(self.stage, self.code) == "to be mended" else len(owed)) else []


@pytest.mark.promises("P17")
def test_what_a_mail_server_says(
    on_postgres: OnPostgres, mail: MailServer, row: Row, scale: Scale, chance: random.Random
) -> None:
    """Each code at each stage: "later" is tried again, "never" fails the mail, and a wrong setting fails none."""
    deployment = replace(on_postgres(1, 1), program=HASTY)
    store, problems = Store(deployment.environ), list[str]()
    cells = [Cell(*each) for each in product(STAGES, (*CODES, HANGS_UP))]
    with running(deployment) as service:
        for cell in chance.sample(cells, min(len(cells), scale.cells)):
            problems += cell.problems(service, mail, store)
            row.faults += 1
        failed = [one.uuid for one in store.owed() if one.status == "failed"]
        never = len(failed)
        if failed:
            command(deployment, "deliveries", "retry", *failed)
        soon(lambda: {one.status for one in store.owed()} == {"sent"})
        owed = store.owed()
    copies = Counter(one["Message-ID"] for one in deployment.mails())
    row.trials = row.acknowledged = len(owed)
    row.lost, row.duplicates = len(owed) - len(copies), copies.total() - len(copies)
    row.note(f"{row.faults} of {len(cells)} codes and stages; {never} mails failed, and were sent when asked for")

    assert not problems, problems[:10]
    assert (row.lost, row.duplicates) == (0, 0)
    assert {one.status for one in owed} == {"sent"}
