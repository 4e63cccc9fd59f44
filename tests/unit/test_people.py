from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.records import FIRST_FIRM, NOW, session, user

from leadintake.domain.errors import Invalid, NotAllowed
from leadintake.domain.events import SYSTEM, ActorKind
from leadintake.domain.people import (
    GRANTED,
    SESSION_IDLE,
    SESSION_LIFETIME,
    Operator,
    Permission,
    Role,
    account_key,
    check_password,
    is_hashable,
)


@pytest.mark.parametrize(
    ("role", "granted"),
    [(Role.ATTORNEY, {Permission.WORK_LEADS}), (Role.ADMIN, set(Permission))],
)
def test_roles(role: Role, granted: set[Permission]) -> None:
    """An attorney works leads; an admin may do everything."""
    for permission in Permission:
        if permission in granted:
            user(role=role).require(permission)
        else:
            with pytest.raises(NotAllowed):
                user(role=role).require(permission)

    assert GRANTED.keys() == set(Role)


def test_operator() -> None:
    """Who has the command line may do everything, and is the system in the record."""
    operator = Operator(FIRST_FIRM)
    for permission in Permission:
        operator.require(permission)

    assert operator.actor == SYSTEM


def test_actor() -> None:
    """A user appears in the record with id and name."""
    actor = user(7, full_name="Joan Clarke").actor

    assert (actor.kind, actor.id, actor.full_name) == (ActorKind.USER, user(7).id, "Joan Clarke")


@given(st.lists(st.timedeltas(min_value=timedelta(0), max_value=timedelta(minutes=40)), max_size=40))
def test_sessions_end(pauses: list[timedelta]) -> None:
    """A session that is refreshed in time lives on, yet never longer than twelve hours."""
    refreshed = NOW
    for pause in pauses:
        if refreshed + pause >= session(refreshed_at=refreshed).expires_at:
            break
        refreshed += pause

    expires_at = session(refreshed_at=refreshed).expires_at
    assert expires_at <= NOW + SESSION_LIFETIME
    assert refreshed < expires_at <= refreshed + SESSION_IDLE


@pytest.mark.attack(123)
@pytest.mark.parametrize(
    "spelling",
    [
        "ada@example.org",
        "ADA@Example.ORG",
        " ada@example.org ",
        "\uff41\uff44\uff41\uff20example.org",
        "\u3000ada@example.org\n",
    ],
)
def test_one_account(spelling: str) -> None:
    """Width, case and space around do not make another account."""
    assert account_key(spelling) == "ada@example.org"


@pytest.mark.asvs("V6.2.1", "V6.2.5-9")
@pytest.mark.parametrize("password", ["x" * 12, "x" * 1024, "é" * 512, " leading and trailing ", "😀" * 12, "\t" * 12])
def test_passwords(password: str) -> None:
    """Twelve characters of anything will do."""
    check_password(password, "password")


@pytest.mark.asvs("V6.2.1")
@pytest.mark.parametrize("password", ["", "x" * 11, "😀" * 11, "x" * 1025, "é" * 513, "\0" * 12, "\ud800" * 12])
def test_passwords_that_will_not_do(password: str) -> None:
    """Too short, too long to hash, or no text: refused under the name of the field it came in."""
    with pytest.raises(Invalid) as refused:
        check_password(password, "new_password")

    assert [error.field for error in refused.value.errors] == ["new_password"]


@given(st.text(st.characters(), max_size=20))
def test_what_can_be_hashed_is_text(password: str) -> None:
    """Whatever is called hashable can be encoded."""
    if is_hashable(password):
        assert b"\0" not in password.encode()
