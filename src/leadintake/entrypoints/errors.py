"""What each error means to a client: one table, looked up by the class of the error and the classes above it."""

from dataclasses import dataclass

from leadintake.domain import errors

UNITS = ((90 * 60, 3600, "hour"), (50, 60, "minute"), (-1, 1, "second"))
"""What takes longer than so many seconds is told in units of so many."""

RETRY_AFTER = 5
"""Seconds to wait where a place is soon free, or after a 503: a restart or a burst passes, and a person still waits."""


class MethodNotAllowed(errors.Refused):
    """There is something at this address, but not for this method."""

    def __init__(self, allow: str) -> None:
        self.allow = allow
        super().__init__()


class MethodUnknown(errors.Refused):
    """No address here takes this method."""


class HeadersTooLarge(errors.Refused):
    """The address and the headers of the request are too large, or too many."""


class TooSlow(errors.Refused):
    """The request did not arrive in time. Send it again, over a faster connection if you can."""


class UnsupportedMediaType(errors.Refused):
    """The body is of a type that is not read here."""


class UnsupportedGrantType(errors.Refused):
    """The grant_type must be password or refresh_token."""


class Busy(errors.Unavailable):
    """Too many uploads are on their way. Nothing was stored. Try again in a moment."""


class NotCounted(errors.Unavailable):
    """This is not possible right now. Try again in a moment."""


class TooManyRequests(errors.Refused):
    """Too many requests came from your network address."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__()
        self.detail += f" Try again in {in_words(retry_after)}."


class TooManyUploads(TooManyRequests):
    """Too many uploads are on their way from your network address. Nothing was stored."""


class TooManyMegabytes(TooManyRequests):
    """Too many megabytes came from your network address. Nothing was stored."""


class TooManyGuesses(TooManyRequests):
    """The password was wrong too often."""


def in_words(seconds: int) -> str:
    """A time to wait, rounded up: 12 seconds, 1 minute, 2 hours."""
    size, unit = next((size, unit) for shortest, size, unit in UNITS if seconds > shortest)
    count = -(-seconds // size)
    return f"{count} {unit}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Meaning:
    """How an error is answered: its status, the end of its type, its title, what to do, and its code in RFC 6749."""

    status: int
    slug: str
    title: str
    advice: str
    oauth: str = "invalid_request"


MEANINGS: dict[type[Exception], Meaning] = {
    Exception: Meaning(
        500,
        "server-error",
        "Something went wrong on our side",
        "It is not your request. Tell the operator the request_id; the log says more under it.",
        "server_error",
    ),
    errors.Refused: Meaning(400, "refused", "The request was refused", "Read the detail; it says why."),
    errors.Malformed: Meaning(
        400,
        "malformed",
        "The request cannot be read",
        "Its framing, its encoding or one of its headers is broken. The detail says which.",
    ),
    UnsupportedGrantType: Meaning(
        400,
        "unsupported-grant-type",
        "This grant type is not supported",
        "Use grant_type=password or grant_type=refresh_token.",
        "unsupported_grant_type",
    ),
    errors.WrongCredentials: Meaning(
        400,
        "wrong-credentials",
        "Wrong email address or password",
        "Check both. An operator can set a new password with leadintake users reset-password.",
        "invalid_grant",
    ),
    errors.PasswordRanOut: Meaning(
        400,
        "password-ran-out",
        "The password has run out",
        "An admin makes a new one on the page of users, an operator with leadintake users reset-password.",
        "invalid_grant",
    ),
    errors.SessionOver: Meaning(
        400, "session-over", "The session is over", "Sign in again with email address and password.", "invalid_grant"
    ),
    errors.NotSignedIn: Meaning(
        401,
        "not-signed-in",
        "Sign in first",
        "Send Authorization: Bearer and an access token from POST /auth/token. A token lasts 15 minutes.",
    ),
    errors.NotAllowed: Meaning(
        403, "not-allowed", "You may not do this", "Ask an admin to do it, or to change your role."
    ),
    errors.NotFound: Meaning(
        404,
        "not-found",
        "There is nothing here",
        "Check the address and the id. What was erased, and what was never there, look the same.",
    ),
    MethodNotAllowed: Meaning(
        405, "method-not-allowed", "The address does not take this method", "The Allow header lists those it takes."
    ),
    TooSlow: Meaning(
        408,
        "too-slow",
        "The request took too long to arrive",
        "Nothing was stored. Send it again, over a faster connection if you can.",
    ),
    errors.Conflict: Meaning(
        409, "conflict", "This conflicts with what is stored", "Read the current state, then decide again."
    ),
    errors.IllegalTransition: Meaning(
        409,
        "illegal-transition",
        "The lead cannot move to this state",
        "A lead goes from PENDING to REACHED_OUT, once. The members by and at say who was first, and when.",
    ),
    errors.EmailTaken: Meaning(
        409, "email-taken", "This email address has a user", "Use another address, or change the user who has it."
    ),
    errors.LastAdmin: Meaning(
        409, "last-admin", "This is the last active admin", "Make another user an admin first, then repeat the change."
    ),
    errors.NotQuarantined: Meaning(
        409,
        "not-quarantined",
        "The lead is not in quarantine",
        "Somebody has released it already, or it never was there. Read it again.",
    ),
    errors.NotRetryable: Meaning(
        409,
        "not-retryable",
        "The delivery is not to be sent again",
        "Only a delivery that failed or is held can be. Read its status again.",
    ),
    errors.Stale: Meaning(
        412,
        "stale",
        "The lead has changed since",
        "Read the lead again, take its new ETag, and repeat the change if it still makes sense.",
    ),
    errors.TooLarge: Meaning(
        413, "too-large", "This is too large", "Send less. The detail says what the limit counts."
    ),
    errors.WrongKind: Meaning(
        415,
        "wrong-kind-of-file",
        "This kind of file is not accepted",
        "Save the resume as one of the kinds that the detail names, with the extension that belongs to it.",
    ),
    UnsupportedMediaType: Meaning(
        415,
        "unsupported-media-type",
        "The body is of a type that is not read here",
        "Set Content-Type to what the documentation names for this call, and send the body without Content-Encoding.",
    ),
    errors.Invalid: Meaning(
        422,
        "invalid-fields",
        "Some fields are missing or wrong",
        "Each entry of errors names a field and says what to do about it.",
    ),
    errors.KeyReused: Meaning(
        422,
        "key-reused",
        "The Idempotency-Key was used before",
        "The same key came with another submission in the last 24 hours. Make a new key for a new submission.",
    ),
    TooManyRequests: Meaning(
        429,
        "too-many-requests",
        "Too many requests",
        "Wait as many seconds as the Retry-After header says.",
        "temporarily_unavailable",
    ),
    HeadersTooLarge: Meaning(
        431, "headers-too-large", "The headers are too large", "Send a shorter address, or fewer or shorter headers."
    ),
    MethodUnknown: Meaning(
        501,
        "method-unknown",
        "This method is not known here",
        "Use a method that the documentation names for this call.",
    ),
    errors.Unavailable: Meaning(
        503,
        "unavailable",
        "Not possible right now",
        "Try again after as many seconds as the Retry-After header says. A submission may have been stored all the "
        "same: send it with the same Idempotency-Key, and it is stored once.",
        "temporarily_unavailable",
    ),
    errors.FileUnavailable: Meaning(
        503,
        "file-unavailable",
        "The stored file cannot be read",
        "Tell the operator the id of the lead; the file has to be looked at or restored.",
        "temporarily_unavailable",
    ),
}

BY_SLUG = {meaning.slug: meaning for meaning in MEANINGS.values()}


def meaning_of(error: Exception) -> Meaning:
    """The meaning of an error's class, or of the nearest one above it."""
    return next(MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS)
