"""Which confirmations are held, and in which order that is counted."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import numbered_ids
from tests.records import lead

from leadintake.application.owing import Limit, MailRules, Owing
from leadintake.domain.delivery import Purpose, Status
from leadintake.domain.lead import Lead

DAY = timedelta(days=1)


def prospect(number: int, name: str) -> Lead:
    """A lead whose mailbox has a name."""
    found = lead(number)
    found.email = f"{name}@example.org"
    return found


@given(names=st.lists(st.sampled_from("abc"), max_size=12), total=st.none() | st.integers(1, 9))
def test_caps_within_a_group(names: list[str], total: int | None) -> None:
    """Each mailbox gets two, all together so many, and what is over is held, first come, first served.

    Mailboxes are counted in one order, whoever came first, and all together last: counting may take a lock.
    """
    counted: list[str | None] = []

    def count_confirmations(_since: object, mailbox: str | None, _at_most: int) -> int:
        counted.append(mailbox)
        return 0

    tx: Any = SimpleNamespace(outbox=SimpleNamespace(count_confirmations=count_confirmations))
    rules = MailRules("firm.example", "boss@example.org", Limit(2, DAY), Limit(total, DAY) if total else None)
    leads = [prospect(number, name) for number, name in enumerate(names, start=1)]
    owed = Owing(rules, numbered_ids()).owed(tx, leads, leads[0].created_at if leads else lead().created_at)
    sent: list[str] = []
    for each in (delivery for delivery in owed if delivery.purpose is Purpose.CONFIRMATION):
        is_over = sent.count(each.recipient) >= 2 or (total is not None and len(sent) >= total)
        assert each.status is (Status.HELD if is_over else Status.PENDING)
        if not is_over:
            sent.append(each.recipient)

    mailboxes: list[str | None] = [f"{name}@example.org" for name in sorted({*names})]
    assert counted == [*mailboxes, *([None] if total and names else [])]
    assert len(owed) == 2 * len(names)
