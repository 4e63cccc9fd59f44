"""Users, their roles, and what each role may do."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from leadintake.domain.errors import FieldError, Invalid, NotAllowed
from leadintake.domain.events import SYSTEM, Actor, ActorKind

PASSWORD_MIN_CHARACTERS = 12
PASSWORD_MAX_BYTES = 1024
"""A bound on the work of one hash; far beyond any passphrase a person types."""

SESSION_LIFETIME = timedelta(hours=12)
SESSION_IDLE = timedelta(minutes=30)
"""A session ends 12 hours after sign-in, or 30 minutes after its last refresh (ASVS 5.0 V7.3)."""

FIRST_PASSWORD_LIFETIME = timedelta(hours=72)
"""How long a password counts that somebody else has set, unless its owner changes it (ASVS 5.0 V6.4.1).

From a Friday to the Monday after it; Django's links to set a password count as long (PASSWORD_RESET_TIMEOUT).
"""


class Role(StrEnum):
    """An admin is an attorney who may also manage users and erase leads."""

    ATTORNEY = "attorney"
    ADMIN = "admin"


class Permission(StrEnum):
    """What a use case asks for before it acts."""

    WORK_LEADS = "work leads"
    ERASE_LEADS = "erase leads"
    MANAGE_USERS = "manage users"


GRANTED = {
    Role.ATTORNEY: frozenset({Permission.WORK_LEADS}),
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class User:
    """An attorney or admin of a firm, as looked up on every request.

    `password_expires_at` is None once the user has changed the password that somebody else set.
    """

    id: UUID
    firm_id: UUID
    email: str
    full_name: str
    role: Role
    is_active: bool
    created_at: datetime
    password_expires_at: datetime | None = None

    @property
    def actor(self) -> Actor:
        """This user as the one who makes an event happen."""
        return Actor(ActorKind.USER, self.id, self.full_name)

    def require(self, permission: Permission) -> None:
        """Raise NotAllowed unless the user's role grants the permission."""
        if permission not in GRANTED[self.role]:
            raise NotAllowed

    def password_ran_out(self, now: datetime) -> bool:
        """Whether the password was set by somebody else, and not changed in time."""
        return self.password_expires_at is not None and now >= self.password_expires_at


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever has the command line of the machine may do everything, and appears in the record as the system."""

    firm_id: UUID
    actor: Actor = SYSTEM

    def require(self, permission: Permission) -> None:
        """Grant every permission."""


Principal = User | Operator
"""Who acts."""


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in device. Refresh secrets are kept as hashes only: today's, and the one before, to notice theft.

    `device` is what it calls itself, such as "Firefox on Windows".
    """

    id: UUID
    user_id: UUID
    created_at: datetime
    refreshed_at: datetime
    refresh_hash: str
    replaced_hash: str | None = None
    device: str | None = None

    @property
    def expires_at(self) -> datetime:
        """When it is over unless it is refreshed before."""
        return min(self.created_at + SESSION_LIFETIME, self.refreshed_at + SESSION_IDLE)


def account_key(email: str) -> str:
    """What makes two spellings of an address the same account: width, case and surrounding space folded."""
    return unicodedata.normalize("NFKC", email).strip().casefold()


def check_password(password: str, field: str) -> None:
    """Raise Invalid for one that is too short, or cannot be hashed. No composition rules (ASVS 5.0 V6.2)."""
    if len(password) < PASSWORD_MIN_CHARACTERS:
        raise Invalid(FieldError(field, f"Use at least {PASSWORD_MIN_CHARACTERS} characters."))
    if not is_hashable(password):
        raise Invalid(FieldError(field, f"Use plain text of at most {PASSWORD_MAX_BYTES} bytes."))


def is_hashable(password: str) -> bool:
    """Whether a password is short enough to hash, and text: a lone surrogate or a NUL is not."""
    encoded = password.encode(errors="replace")
    return len(encoded) <= PASSWORD_MAX_BYTES and "\0" not in password and encoded.decode() == password
