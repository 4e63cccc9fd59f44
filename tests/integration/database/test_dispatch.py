"""A delivery from owed to sent or given up, by the clock."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.practice import Practice
from tests.records import NOW

from leadintake.application.staff import Update
from leadintake.application.views import DeliveryView
from leadintake.domain.delivery import GIVE_UP_AFTER, LEASE, Purpose, Status
from leadintake.domain.errors import ChannelDown, DeliveryFailed
from leadintake.domain.events import EventKind
from leadintake.domain.people import Role

LATER = DeliveryFailed("451 try again", permanent=False)
NEVER = DeliveryFailed("550 no such mailbox", permanent=True)
MOMENT = timedelta(microseconds=1)


async def confirmation(practice: Practice) -> DeliveryView:
    """The confirmation of the only lead."""
    [lead] = await practice.leads()
    [delivery] = await practice.deliveries(lead.id)
    return delivery


async def failures(practice: Practice) -> int:
    """How often the timeline of the only lead says that a delivery failed."""
    user = await practice.user(name="reader")
    [lead] = await practice.leads()
    events = await practice.desk.events(user, lead.id)
    return [event.kind for event in events].count(EventKind.DELIVERY_FAILED)


async def test_sent_once(practice: Practice) -> None:
    """What was sent is not sent again."""
    await practice.submit()
    await practice.send_due()
    practice.clock.advance(GIVE_UP_AFTER)
    await practice.send_due()

    assert len(practice.mailer.sent) == 1
    assert (await confirmation(practice)).sent_at == NOW
    assert await practice.dispatch.next_due() is None
    assert await practice.dispatch.count_unsettled() == {}


@pytest.mark.attack(171)
async def test_five_days_of_trying(practice: Practice) -> None:
    """A delivery that never succeeds is tried for five days and given up, and the timeline says so once."""
    await practice.submit()
    practice.mailer.failure = LATER
    tries = 0
    while due := await practice.dispatch.next_due():
        practice.clock.at = due
        assert len(await practice.send_due()) == 1
        assert await practice.send_due() == []
        tries += 1

    given_up = await confirmation(practice)
    assert tries == given_up.attempts == 29
    assert NOW + timedelta(days=4) < practice.clock.at < NOW + GIVE_UP_AFTER
    assert (given_up.status, given_up.last_error) == (Status.FAILED, "451 try again")
    assert await practice.dispatch.count_unsettled() == {Status.FAILED: 1}
    assert await failures(practice) == 1


async def test_success_in_the_end(practice: Practice) -> None:
    """A letter that arrives at last is the one that was written first, and its errors are forgotten."""
    await practice.submit()
    practice.mailer.failure = LATER
    await practice.send_due()
    waiting = await confirmation(practice)
    practice.mailer.failure = None
    practice.clock.advance(timedelta(seconds=30))
    await practice.send_due()
    sent = await confirmation(practice)

    assert (waiting.status, waiting.attempts, waiting.last_error) == (Status.PENDING, 1, "451 try again")
    assert waiting.next_attempt_at == practice.clock.at
    assert (sent.status, sent.attempts, sent.last_error) == (Status.SENT, 2, None)
    assert [(letter.attempt, letter.created_at) for letter in practice.mailer.sent] == [(2, NOW)]
    assert practice.mailer.sent[0].message_id == f"<{sent.id}@firm.example>"


async def test_one_refusal_is_nobody_elses(practice: Practice) -> None:
    """A refused confirmation takes one try, and the attorney is told all the same (P9)."""
    await practice.user()
    receipt, _ = await practice.submit()
    [first, *others] = sorted(await practice.dispatch.claim(10), key=lambda letter: letter.purpose)
    practice.mailer.failure = NEVER
    await practice.dispatch.deliver(first)
    practice.mailer.failure = None
    for letter in others:
        await practice.dispatch.deliver(letter)
    found = await practice.deliveries(receipt.id)

    assert [(each.status, each.attempts) for each in found] == [(Status.FAILED, 1), (Status.SENT, 1)]
    assert await practice.dispatch.next_due() is None


async def test_an_attorney_cannot_be_told(practice: Practice) -> None:
    """Then every active admin is told who was not told anyway, once; a confirmation that fails tells nobody."""
    practice.rules = replace(practice.rules, attorney_email="Gone@firm.example", domain="old.example")
    for role, name in [(Role.ADMIN, "ada"), (Role.ADMIN, "ben"), (Role.ADMIN, "gone"), (Role.ATTORNEY, "eve")]:
        await practice.user(role, name)
    await practice.submit()
    practice.mailer.failure = NEVER
    practice.rules = replace(practice.rules, domain="new.example")
    await practice.send_due()
    [lead] = await practice.leads()
    owed = await practice.deliveries(lead.id)
    practice.mailer.failure = None
    await practice.send_due()

    assert sorted((d.purpose, d.recipient, d.status) for d in owed) == [
        (Purpose.CONFIRMATION, "ada@client.example", Status.FAILED),
        (Purpose.NOTIFICATION, "Gone@firm.example", Status.FAILED),
        (Purpose.NOTIFICATION, "ada@firm.example", Status.PENDING),
        (Purpose.NOTIFICATION, "ben@firm.example", Status.PENDING),
    ]
    assert sorted(letter.recipient for letter in practice.mailer.sent) == ["ada@firm.example", "ben@firm.example"]
    assert {letter.message_id.rpartition("@")[2] for letter in practice.mailer.sent} == {"new.example>"}


async def test_who_was_deactivated_is_told_nothing_more(practice: Practice) -> None:
    """Neither what waited for them nor what failed before; admins are told in their place. An enquiry is answered."""
    admin, leaver = await practice.user(Role.ADMIN, "ada"), await practice.user(name="leaver")
    receipt, _ = await practice.submit(email=leaver.email)
    await practice.staff.update(admin, leaver.id, Update(is_active=False))
    await practice.send_due()
    [failed] = [each for each in await practice.deliveries(receipt.id) if each.status is Status.FAILED]
    await practice.desk.retry(admin, failed.id)
    await practice.send_due()

    assert (failed.recipient, failed.last_error) == (leaver.email, "Its recipient was deactivated.")
    assert sorted((sent.purpose, sent.recipient) for sent in practice.mailer.sent) == [
        (Purpose.CONFIRMATION, leaver.email),
        (Purpose.NOTIFICATION, admin.email),
    ]
    assert await practice.dispatch.count_unsettled() == {Status.FAILED: 1}


async def test_the_address_that_the_firm_has_set_is_told(practice: Practice) -> None:
    """Also where it was that of a user who was deactivated."""
    admin, leaver = await practice.user(Role.ADMIN, "ada"), await practice.user(name="leaver")
    practice.rules = replace(practice.rules, attorney_email=leaver.email)
    await practice.staff.update(admin, leaver.id, Update(is_active=False))
    await practice.submit()
    await practice.send_due()

    assert {sent.recipient for sent in practice.mailer.sent} == {"ada@client.example", leaver.email}


async def test_a_prospect_gives_the_address_of_an_admin(practice: Practice) -> None:
    """The confirmation that goes there tells the admin nothing about the mail that failed."""
    practice.rules = replace(practice.rules, attorney_email="gone@firm.example")
    await practice.user(Role.ADMIN, "ada")
    receipt, _ = await practice.submit(email="ada@firm.example")
    practice.mailer.failure = NEVER
    await practice.send_due()
    owed = await practice.deliveries(receipt.id)

    assert sorted((d.purpose, d.recipient, d.status) for d in owed) == [
        (Purpose.CONFIRMATION, "ada@firm.example", Status.FAILED),
        (Purpose.NOTIFICATION, "ada@firm.example", Status.PENDING),
        (Purpose.NOTIFICATION, "gone@firm.example", Status.FAILED),
    ]


async def test_nobody_can_be_told(practice: Practice) -> None:
    """When the admins cannot be told either, that is the end of it, and the failures stay to be seen."""
    practice.rules = replace(practice.rules, attorney_email="gone@firm.example")
    await practice.user(Role.ADMIN, "ada")
    await practice.submit()
    practice.mailer.failure = NEVER
    for _ in range(3):
        await practice.send_due()

    assert await practice.dispatch.count_unsettled() == {Status.FAILED: 3}


@pytest.mark.long
async def test_the_channel_is_down(practice: Practice) -> None:
    """However long nothing goes out for a reason that is not the letter's, no try of five days is used up."""
    await practice.submit()
    practice.mailer.failure = ChannelDown("535 wrong password")
    for _ in range(100):
        [letter] = await practice.dispatch.claim(10)
        with pytest.raises(ChannelDown):
            await practice.dispatch.deliver(letter)
        practice.clock.advance(timedelta(minutes=1))
    waiting = await confirmation(practice)
    practice.mailer.failure = None
    await practice.send_due()
    sent = await confirmation(practice)

    assert (waiting.status, waiting.attempts, waiting.last_error) == (Status.PENDING, 0, "535 wrong password")
    assert (sent.status, sent.attempts, sent.last_error) == (Status.SENT, 1, None)


async def test_giving_back_and_breaking_off(practice: Practice) -> None:
    """When sending stops, what was not begun is as if it never was, and what was may have arrived; none is lost."""
    await practice.user()
    receipt, _ = await practice.submit()
    not_begun, begun = await practice.dispatch.claim(10)
    await practice.dispatch.give_back([not_begun])
    await practice.dispatch.break_off(begun)
    found = {delivery.id: delivery for delivery in await practice.deliveries(receipt.id)}
    first, second = found[not_begun.delivery_id], found[begun.delivery_id]

    assert (first.status, first.attempts, first.next_attempt_at) == (Status.PENDING, 0, practice.clock.at)
    assert (second.status, second.attempts) == (Status.PENDING, 1)
    assert second.last_error == "Broken off on the way; it may have arrived."
    assert [outcome.letter.attempt for outcome in await practice.send_due()] == [1]


@pytest.mark.parametrize("failure", [None, LATER, NEVER])
async def test_who_comes_back_too_late(practice: Practice, failure: DeliveryFailed | None) -> None:
    """A sender that was away for longer than its lease changes nothing of what another did meanwhile (P7)."""
    await practice.submit()
    [letter] = await practice.dispatch.claim(1)
    practice.clock.advance(LEASE)
    [again] = await practice.send_due()
    practice.mailer.failure = failure
    await practice.dispatch.deliver(letter)

    assert (again.letter.attempt, again.letter.message_id) == (2, letter.message_id)
    assert (await confirmation(practice)).status is Status.SENT
    assert await failures(practice) == 0


async def test_one_lost_claim_is_nobody_elses(practice: Practice) -> None:
    """Of many that are settled together, and were claimed twice, each is told whether it still had its claim."""
    for number in range(4):
        await practice.submit(email=f"{number}@client.example")
    claimed = [*await practice.dispatch.claim(2), *await practice.dispatch.claim(2)]
    await practice.desk.erase(await practice.user(Role.ADMIN), claimed[1].lead_id)
    outcomes = await asyncio.gather(*(practice.dispatch.deliver(each) for each in claimed))

    assert [outcome.is_settled for outcome in outcomes] == [True, False, True, True]
    assert await practice.dispatch.count_unsettled() == {}


async def test_erased_on_the_way(practice: Practice) -> None:
    """A lead that is erased while its mail is under way leaves no delivery, and no event after its erasure."""
    admin = await practice.user(name="admin", role=Role.ADMIN)
    receipt, _ = await practice.submit()
    practice.mailer.failure = NEVER
    claimed = await practice.dispatch.claim(10)
    await practice.desk.erase(admin, receipt.id)
    for letter in claimed:
        await practice.dispatch.deliver(letter)

    assert (await practice.desk.events(admin, receipt.id))[-1].kind is EventKind.ERASED
    assert await practice.dispatch.count_unsettled() == {}


async def test_a_confirmation_that_fails_tells_nobody(practice: Practice) -> None:
    """Admins hear of a lead when its attorney could not be told, and not because a prospect mistyped an address."""
    practice.rules = replace(practice.rules, attorney_email="desk@firm.example")
    await practice.user(Role.ADMIN, "ada")
    receipt, _ = await practice.submit()
    for letter in await practice.dispatch.claim(10):
        practice.mailer.failure = NEVER if letter.purpose is Purpose.CONFIRMATION else None
        await practice.dispatch.deliver(letter)

    assert sorted((d.purpose, d.recipient, d.status) for d in await practice.deliveries(receipt.id)) == [
        (Purpose.CONFIRMATION, "ada@client.example", Status.FAILED),
        (Purpose.NOTIFICATION, "desk@firm.example", Status.SENT),
    ]
