"""What may go wrong, as facts. The docstring of each is its default message; entrypoints map a kind to an answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


class Refused(Exception):
    """The request was refused."""

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        super().__init__(self.detail)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong, and what to do about it."""

    field: str
    message: str


class Invalid(Refused):
    """Some fields are missing or wrong."""

    def __init__(self, *errors: FieldError) -> None:
        self.errors = errors
        super().__init__()


def parsed(*parses: Callable[[], str]) -> tuple[list[str], list[FieldError]]:
    """What each gives, empty where it raises Invalid, and all that is wrong: so one answer names it all."""
    found: list[str] = []
    wrong: list[FieldError] = []
    for parse in parses:
        try:
            found.append(parse())
        except Invalid as error:
            found.append("")
            wrong += error.errors
    return found, wrong


class Malformed(Refused):
    """The request could not be read."""


class WrongKind(Refused):
    """This kind of file is not accepted."""


class TooLarge(Refused):
    """The file is too large."""


class NotFound(Refused):
    """There is nothing with this id."""


class NotAllowed(Refused):
    """Your role does not allow this."""


class NotSignedIn(Refused):
    """Sign in first: the access token is missing, expired or no longer valid."""


class WrongCredentials(Refused):
    """The email address or the password is wrong."""


class PasswordRanOut(WrongCredentials):
    """This password has run out, because it was not changed in time. Ask an admin for a new one."""


class SessionOver(Refused):
    """This session is over. Sign in again."""


class Conflict(Refused):
    """The request conflicts with what is stored."""


class IllegalTransition(Conflict):
    """The lead cannot move to this state."""

    def __init__(self, detail: str, *, by: str | None, at: datetime | None) -> None:
        self.by = by
        self.at = at
        super().__init__(detail)


class EmailTaken(Conflict):
    """A user with this email address exists already."""


class LastAdmin(Conflict):
    """This is the last active admin. Make another user an admin first."""


class NotQuarantined(Conflict):
    """The lead is not in quarantine, or not any more."""


class NotRetryable(Conflict):
    """Only a delivery that failed or is held can be sent again."""


class ReferenceTaken(Conflict):
    """Another lead has this reference already."""


class Stale(Refused):
    """The lead was changed since you read it. Read it again, then repeat the change."""


class KeyReused(Refused):
    """This Idempotency-Key was already used for another submission. Use a new key."""


class Unavailable(Refused):
    """The service cannot do this right now. Try again in a moment."""


class FileUnavailable(Unavailable):
    """The stored file cannot be read or is not what was uploaded. The operator has been told."""


class FileDamaged(FileUnavailable):
    """The stored file is missing or is not what was uploaded. The operator has been told."""


class DeliveryFailed(Exception):
    """A delivery did not go out.

    `permanent` says that trying again cannot help; `reason` is kept with the delivery for people to read, so what is no
    text in the other side's answer (NUL, lone surrogates) becomes a question mark.
    """

    def __init__(self, reason: str, *, permanent: bool) -> None:
        self.reason = _storable(reason)
        self.permanent = permanent
        super().__init__(self.reason)


class ChannelDown(Exception):
    """Nothing goes out by this channel until somebody mends it, so no delivery is to blame.

    `reason` is kept with the delivery that met it, as the reason of DeliveryFailed is.
    """

    def __init__(self, reason: str) -> None:
        self.reason = _storable(reason)
        super().__init__(self.reason)


def _storable(text: str) -> str:
    return text.replace("\0", "?").encode(errors="replace").decode()
