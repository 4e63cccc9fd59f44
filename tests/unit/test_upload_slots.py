"""How many uploads are let in at once, in all and from one network address."""

from contextlib import ExitStack

import pytest

from leadintake.entrypoints.errors import Busy, TooManyUploads
from leadintake.entrypoints.http.upload_slots import Slots


@pytest.mark.parametrize(("count", "share"), [(64, 16), (9, 2), (8, 2), (4, 2)])
def test_a_share_of_the_slots(count: int, share: int) -> None:
    """One address holds a quarter of the slots, and two at least; others have the rest, and then nobody gets in."""
    slots = Slots(count, are_shared=True)
    with ExitStack() as held:
        for _ in range(share):
            held.enter_context(slots.one("192.0.2.1"))
        with pytest.raises(TooManyUploads) as refused, slots.one("::ffff:192.0.2.1"):
            pass
        for number in range(count - share):
            held.enter_context(slots.one(f"192.0.2.{number + 10}"))
        with pytest.raises(Busy), slots.one("192.0.2.2"):
            pass

    assert refused.value.retry_after > 0


def test_one_network_of_ipv6_has_one_share() -> None:
    """Who may choose among addresses gets no more by that; the neighbour's share is untouched."""
    slots = Slots(8, are_shared=True)
    with slots.one("2001:db8:0:1::1"), slots.one("2001:db8:0:1::2"):
        with pytest.raises(TooManyUploads), slots.one("2001:db8:0:1::3"):
            pass
        with slots.one("2001:db8:0:2::1"):
            pass


def test_a_slot_is_free_again() -> None:
    """However an upload ends, the next one is let in, from its address and from others; and no address is kept."""
    slots = Slots(2, are_shared=True)
    for _ in range(9):
        with pytest.raises(ValueError, match="broken"), slots.one("192.0.2.1"), slots.one("192.0.2.1"):
            raise ValueError("broken off")
    with slots.one("192.0.2.1"), slots.one("192.0.2.2"):
        pass

    assert not slots.held


def test_without_shares_one_address_may_have_all() -> None:
    """Where nothing is limited by address, one is as good as many."""
    slots = Slots(3, are_shared=False)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(slots.one("192.0.2.1"))

        with pytest.raises(Busy), slots.one("192.0.2.1"):
            pass
