"""An application with other passwords, for tests that are about something else."""

from dataclasses import replace

from argon2 import PasswordHasher

from leadintake.adapters.security.passwords import Argon2Passwords
from leadintake.application.app import App
from leadintake.application.ports.security import Passwords

NOBODY = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("nobody's")


class QuickPasswords(Argon2Passwords):
    """As in the service, zxcvbn included, but for what a hash costs: a thousandth."""

    def __init__(self, firm_name: str = "") -> None:
        super().__init__(firm_name)
        self._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password fits."""
        return await super().verify(password_hash or NOBODY, password)


def with_passwords(app: App, passwords: Passwords) -> App:
    """The application, but for its passwords."""
    staff, accounts = replace(app.staff, passwords=passwords), replace(app.accounts, passwords=passwords)
    return replace(app, staff=staff, accounts=accounts)
