"""The clock of the machine jumps by a day, forth and back, under load."""

import email
from collections import Counter
from datetime import timedelta

import pytest
from tests.deployment import Deployment, running, soon
from tests.smtp import MailServer
from tests.soak.clock import Clock
from tests.soak.ledger import Row
from tests.soak.prospects import Prospects
from tests.soak.setups import sent_to
from tests.soak.store import Store

AT_ONCE = 8
"""Mails under way at once."""

BACKLOG = 5 * AT_ONCE
TAKEN_IN = 5
"""Submissions after each jump. With libfaketime each look at the clock opens a file: it may be one a second."""

DAY = timedelta(days=1)


@pytest.mark.attack(172)
@pytest.mark.promises("P23")
@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forth", "back"])
def test_the_clock_jumps(on_sqlite: Deployment, mail: MailServer, row: Row, jump: timedelta) -> None:
    """The clock jumps by a day under load, by libfaketime, and back: no mail is lost, storms, or waits for it."""
    clock = Clock(on_sqlite.folder / "clock")
    on_sqlite.environ.update(clock.environ, **sent_to(mail))
    store, held_up = Store(on_sqlite.environ), 0
    with running(on_sqlite) as service:
        prospects = Prospects(lambda: service.servers[0].port, clients=2)
        with prospects.sending(0):
            for now in (jump, timedelta()):
                mail.delay = 1  # So that more is owed than is under way, and has to be claimed after the jump.
                assert soon(lambda: len(_waiting(store)) > BACKLOG)
                owed_before = _waiting(store)
                clock.jump(now)
                mail.delay = 0.01
                row.faults += 1
                prospects.wait_for(TAKEN_IN)
                soon(lambda owed_before=owed_before: not owed_before & _waiting(store))  # type: ignore[misc] # mypy cannot infer a lambda with a default
                waiting = len(owed_before & _waiting(store))
                row.note(
                    f"of {len(owed_before)} mails owed when it came to {now.days:+d} d, {waiting} waited for the clock"
                )
                held_up += waiting
        clock.jump(DAY)
        assert any(soon(lambda: not _waiting(store)) for _ in range(4)), "mails wait, although the clock has caught up"
        owed = store.owed()
    copies = Counter(email.message_from_bytes(one.content)["Message-ID"] for one in mail.mails)
    row.trials, row.acknowledged = len(owed), len(prospects.acknowledged)
    row.lost, row.duplicates = len({one.message_id for one in owed} - copies.keys()), copies.total() - len(copies)

    assert not prospects.unasked, prospects.unasked[:5]
    assert {one.id for one in store.leads()} == {one.replace("-", "") for one in prospects.acknowledged.values()}
    assert row.lost == 0
    assert row.duplicates <= AT_ONCE * row.faults
    assert held_up == 0, f"{held_up} mails waited for the clock to catch up"


def _waiting(store: Store) -> set[str]:
    return {one.id for one in store.owed() if one.status != "sent"}
