"""New passwords: what is asked of one, whoever sets it and wherever."""

from leadintake.application.ports.security import Passwords
from leadintake.domain.errors import FieldError, Invalid
from leadintake.domain.people import check_password

EASY = "This password is easy to guess. Use four words or more that have nothing to do with each other, or with you."


async def check_password_rules(
    passwords: Passwords, password: str, email: str, full_name: str, *, field: str = "password"
) -> None:
    """Raise Invalid for a password that is too short or long, widely used, or made of what is known about its owner.

    ASVS 5.0 V6.2.4 and V6.2.11.
    """
    check_password(password, field)
    if await passwords.is_easy(password, [email, full_name]):
        raise Invalid(FieldError(field, EASY))
