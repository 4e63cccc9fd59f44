"""Each statement of a submission's transaction fails or is the last one of its process: all is stored, or nothing."""

import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from tests.deployment import PATIENCE, Deployment, Running, running, soon
from tests.soak.ledger import Row, Scale
from tests.soak.prospects import BOUNDARY, Prospects, body_of, email_of, key_of
from tests.soak.setups import NO_LIMITS
from tests.soak.store import Store
from tests.soak.test_crash import all_mails_go_out

STRIKE = Path(__file__).with_name("strike.py")
COMMIT, COMMITTED, COUNTED = "commit", "committed", "statements"
"""As strike.py has them."""

FIRST_STRUCK = 20_000
"""The numbers of prospects whose submission is struck begin here; those below are the load."""

PARTS = ("events", "deliveries", "submissions", "lead_words")
ORPHANS = " UNION ".join(f"SELECT lead_id FROM {part}" for part in PARTS) + " EXCEPT SELECT id FROM leads"
COUNTS = (f"(SELECT lead_id, count(*) AS n FROM {part} GROUP BY lead_id) AS {part}" for part in PARTS)
LEADS = (
    f"SELECT id, email, resume_path, {', '.join(f'coalesce({part}.n, 0)' for part in PARTS)} FROM leads "
    + " ".join(f"LEFT JOIN {count} ON {part}.lead_id = leads.id" for part, count in zip(PARTS, COUNTS, strict=True))
)
"""All leads, with how much belongs to each. Counted once for all, because there are thousands."""

WHOLE = (1, 2, 1)
"""How many events, deliveries and submission keys belong to a lead."""

FEWEST_STATEMENTS = 5
ANSWERS = {"raises": 500, "breaks": 503, "kills": None}


@pytest.fixture(params=["one_machine", "many_machines"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each set of engines, without limits, and with faults to come."""
    found: Deployment = request.getfixturevalue(request.param)
    found.environ.update(NO_LIMITS)
    (found.folder / "strikes").mkdir()
    return replace(found, program=(sys.executable, str(STRIKE), str(found.folder / "strikes")))


@dataclass
class Struck:
    """Submissions that are struck, one after the other, each of a prospect of its own."""

    service: Running
    store: Store
    prospects: Prospects
    number: int = FIRST_STRUCK

    def submit(self, what: str, where: str) -> int | None:
        """Plan something and submit; returns the status of the answer, or None when the process died."""
        self.number += 1
        folder = self.service.deployment.folder / "strikes"
        (folder / "new").write_text(f"{what} {where}")
        (folder / "new").rename(folder / email_of(self.number))
        headers = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Idempotency-Key": key_of(self.number),
        }
        try:
            answer = self.service.client.post("/public/leads", content=body_of(self.number), headers=headers)
        except httpx.TransportError:
            self._bury()
            return None
        return answer.status_code

    def _bury(self) -> None:
        servers = self.service.servers
        [dead] = soon(lambda: [one for one in servers if one.popen.poll() is not None])
        assert dead.popen.wait(PATIENCE) == -signal.SIGKILL
        servers.remove(dead)

    def problems(self, what: str, where: str) -> Iterator[str]:
        """Submit, look at what is stored, and have the prospect send the form again."""
        name = f"{what} {where}"
        status = self.submit(what, where)
        if status != ANSWERS[what]:
            yield f"{name}: the answer was {status}"
        stored = [row for row in self.store.query(LEADS) if row[1] == email_of(self.number)]
        if len(stored) != (where == COMMITTED):
            yield f"{name}: {len(stored)} leads"
        if orphans := self.store.query(ORPHANS):
            yield f"{name}: {len(orphans)} leads in part"
        self.service.start()
        lead_id = self.prospects.submit(self.number)
        if stored and str(lead_id).replace("-", "") != _hex(stored[0][0]):
            yield f"{name}: another lead when it was sent again"


@pytest.mark.promises("P1")
def test_all_or_nothing(
    deployment: Deployment,
    row: Row,
    scale: Scale,
    chance: random.Random,
    progress: Callable[[float, float], None],
) -> None:
    """Each statement of a submission fails, or the process dies there, under load: all of it is stored, or nothing."""
    store, problems = Store(deployment.environ), list[str]()
    with running(deployment) as service:
        prospects = Prospects(lambda: chance.choice([*service.servers]).port if service.servers else None)
        struck = Struck(service, store, prospects)
        assert struck.submit("counts", "0") == 201
        statements = int((deployment.folder / "strikes" / COUNTED).read_text())
        prospects.submit(struck.number)
        places = [str(number) for number in range(1, statements + 1)]
        deaths = [*places, COMMIT, COMMITTED]
        faults = [
            (what, where)
            for what, of in (("raises", places), ("breaks", places), ("kills", deaths))
            for where in chance.sample(of, min(scale.places, len(of)))
        ]
        with prospects.sending(0):
            for what, where in chance.sample(faults, len(faults)):
                prospects.wait_for(2)
                problems += struck.problems(what, where)
                row.faults += 1
                progress(row.faults, len(faults))
        all_mails_go_out(service, deployment, store)
    leads, files = store.query(LEADS), store.files()
    row.trials = len(prospects.acknowledged) + row.faults
    row.acknowledged = len(prospects.acknowledged)
    mails = Counter(one["Message-ID"] for one in deployment.mails())
    in_part = [one[1] for one in leads if one[3:6] != WHOLE or one[6] != leads[0][6] or one[2] not in files]
    missing = {one.replace("-", "") for one in prospects.acknowledged.values()} ^ {_hex(one[0]) for one in leads}
    problems += [*prospects.unasked, *(f"{one} is there in part" for one in in_part)]
    row.lost, row.duplicates = len(missing) + len(in_part), mails.total() - len(mails)
    row.note(f"{statements} statements and a commit; {len(deaths)} places to die at")

    assert statements >= FEWEST_STATEMENTS
    assert not problems, problems[:10]
    assert not missing
    assert mails.keys() == {one.message_id for one in store.owed()}, "mails for what is not stored, or none for what is"


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value).replace("-", "")
