from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.names import real_names

from leadintake.domain.suspicion import ENOUGH, POINTS, FormTrace, Reason, suspicion

FASTEST_PERSON = timedelta(seconds=3)
PATIENT = timedelta(seconds=30)

waits = st.none() | st.timedeltas(timedelta(seconds=-10), timedelta(days=10))
traces = st.none() | st.builds(FormTrace, st.booleans(), waits)
names = st.sampled_from(["Ada", "www.evil.example", "https://evil.example", "see http://a.example or http://b.example"])


def judged(first_name: str = "Ada", last_name: str = "Lovelace", trace: FormTrace | None = None) -> set[Reason]:
    """The reasons for a submission, where three seconds are the least."""
    return set(suspicion(first_name, last_name, trace, FASTEST_PERSON))


@pytest.mark.parametrize(
    ("trap", "seconds", "reasons"),
    [
        ("", 30, set()),
        ("", None, set()),
        ("filled in", 30, {Reason.TRAP}),
        ("filled in", None, {Reason.TRAP, Reason.NO_TICKET}),
        ("", 2.999, {Reason.TOO_FAST}),
        ("", 0, {Reason.TOO_FAST}),
        ("", 3, set()),
        ("", -1, set()),
        ("filled in", 1, {Reason.TRAP, Reason.TOO_FAST}),
    ],
)
def test_the_trace_of_a_form(trap: str, seconds: float | None, reasons: set[Reason]) -> None:
    """The trap and haste are each enough, a ticket that is missing is not, and nobody is early by a wrong clock."""
    waited = None if seconds is None else timedelta(seconds=seconds)

    assert judged(trace=FormTrace(bool(trap), waited)) == reasons


@pytest.mark.parametrize(
    ("first_name", "last_name", "reason"),
    [
        ("https://evil.example", "www.evil.example", Reason.LINKS),
        ("Visit HTTP://a.example", "hTTps://b.example", Reason.LINKS),
        ("www.a.example www.b.example", "Ada", Reason.LINKS),
        ("\uff57\uff57\uff57.evil.example", "https\uff1a//evil.example", Reason.LINKS),
        ("ftp://www.evil.example", "Ada", Reason.LINK),
        ("Ada", "www.evil.example", Reason.LINK),
        ("WWW.EVIL.EXAMPLE", "Ada", Reason.LINK),
    ],
)
def test_addresses_in_a_name(first_name: str, last_name: str, reason: Reason) -> None:
    """Several are enough by themselves; one is with a ticket that is none. Width and case hide nothing."""
    trace = FormTrace(is_trapped=False, waited=None)

    assert judged(first_name, last_name) == ({reason} if reason is Reason.LINKS else set())
    assert judged(first_name, last_name, trace) == {reason, Reason.NO_TICKET}


def test_no_name_is_suspicious() -> None:
    """Whatever people are called, and even without a ticket."""
    trace = FormTrace(is_trapped=False, waited=None)

    assert [name for name in real_names() if judged(name, name, trace)] == []


@given(names, names, traces)
def test_reasons_are_enough_or_none(first_name: str, last_name: str, trace: FormTrace | None) -> None:
    """They add up to what is enough, each is named once, and by the API only names are judged."""
    reasons = suspicion(first_name, last_name, trace, FASTEST_PERSON)

    assert not reasons or sum(POINTS[reason] for reason in reasons) >= ENOUGH
    assert len(set(reasons)) == len(reasons)
    assert trace is not None or set(reasons) <= {Reason.LINKS}


@given(names, names, traces)
def test_who_waits_is_not_more_suspicious(first_name: str, last_name: str, trace: FormTrace | None) -> None:
    """Nor is who leaves the trap alone; and with no least time, nobody is too fast."""
    patient = None if trace is None else FormTrace(is_trapped=False, waited=trace.waited and PATIENT)

    assert judged(first_name, last_name, patient) <= judged(first_name, last_name, trace) | {Reason.NO_TICKET}
    assert Reason.TOO_FAST not in suspicion(first_name, last_name, trace, timedelta())
