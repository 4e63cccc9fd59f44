"""The same at once: one key is one lead, and one attorney is first."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.deployment import running
from tests.integration.test_end_to_end import ADMIN, first_password, sign_in
from tests.soak.ledger import Row, Scale
from tests.soak.prospects import Prospects, email_of
from tests.soak.setups import OnPostgres
from tests.soak.store import Store


@pytest.mark.promises("P13 P14")
def test_one_key_is_one_lead(on_postgres: OnPostgres, row: Row, scale: Scale, chance: random.Random) -> None:
    """Fifty times the same form at once, to two servers of which one is killed: one lead, one file, one answer."""
    deployment = on_postgres(2, 1)
    store = Store(deployment.environ)
    problems: list[str] = []
    with running(deployment) as service, ThreadPoolExecutor(scale.at_once) as pool:
        for number in range(1, 2 * scale.rounds + 1):
            prospects = Prospects(lambda: chance.choice([*service.servers]).port)
            answers = [pool.submit(prospects.submit, number) for _ in range(scale.at_once)]
            time.sleep(chance.uniform(0, 0.2))
            service.kill_one_of(service.servers)
            row.faults += 1
            ids = {answer.result() for answer in answers}
            row.trials += scale.at_once
            row.acknowledged += len(prospects.acknowledged)
            if len(ids) != 1 or prospects.unasked:
                problems.append(f"prospect {number} got {ids}: {prospects.unasked}")
            service.start()
        leads = store.leads()
        owed = store.owed()
    once = Counter(lead.email for lead in leads)
    row.lost = 2 * scale.rounds - len(once)
    row.duplicates = sum(count - 1 for count in once.values())
    store.sweep()

    assert not problems, problems
    assert once == {email_of(number): 1 for number in range(1, 2 * scale.rounds + 1)}
    assert len(owed) == 2 * len(leads)
    assert store.files().keys() == {lead.path for lead in leads}


@pytest.mark.promises("P19")
def test_one_is_first(on_postgres: OnPostgres, row: Row, scale: Scale) -> None:
    """Fifty move a lead at once through two servers: one does, and 49 learn who it was and when."""
    deployment = on_postgres(2, 0)
    wrong: list[str] = []
    with running(deployment) as service, ThreadPoolExecutor(scale.at_once) as pool:
        sign_in(service.client, username=ADMIN, password=first_password(service))
        for number in range(1, 2 * scale.rounds + 1):
            lead_id = Prospects(service.port).submit(number)
            etag = service.client.get(f"/leads/{lead_id}").headers["ETag"]
            headers, late = ({"If-Match": etag}, 412) if number % 2 == 0 else ({}, 409)

            def move(_: int, path: str = f"/leads/{lead_id}", headers: dict[str, str] = headers) -> httpx.Response:
                return service.client.patch(path, json={"state": "REACHED_OUT"}, headers=headers)

            answers = [*pool.map(move, range(scale.at_once))]
            row.trials += scale.at_once
            found = Counter(answer.status_code for answer in answers)
            row.acknowledged += found[200]
            row.duplicates += max(0, found[200] - 1)
            if found != {200: 1, late: scale.at_once - 1}:
                wrong.append(f"lead {lead_id}: {found}")
            moved = service.client.get(f"/leads/{lead_id}").json()
            told = {(answer.json()["by"], answer.json()["at"]) for answer in answers if answer.status_code == 409}
            if told - {(moved["reached_out_by"]["full_name"], moved["reached_out_at"])}:
                wrong.append(f"lead {lead_id}: they were told {told}")
            events = service.client.get(f"/leads/{lead_id}/events").json()["items"]
            if [event["kind"] for event in events].count("lead.reached_out") != 1:
                wrong.append(f"lead {lead_id}: {events}")

    assert not wrong, wrong
