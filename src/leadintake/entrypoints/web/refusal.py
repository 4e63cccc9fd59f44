"""Why a form comes back, in words for whoever filled it in."""

from dataclasses import dataclass, field
from http import HTTPStatus

from leadintake.application.intake import NO_FILE
from leadintake.domain import values
from leadintake.domain.errors import FieldError, Invalid, KeyReused, TooLarge, Unavailable, WrongKind
from leadintake.entrypoints.errors import TooManyRequests, in_words
from leadintake.entrypoints.http.multipart import FILE
from leadintake.entrypoints.http.problems import explain, translated
from leadintake.entrypoints.http.public import form_of
from leadintake.entrypoints.http.reading import AnyRequest
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.web.form_words import LABELS, MISSING, resume_words

KEY_REUSED = (
    "You have already sent an enquiry from this page, and it is stored. This one has other content. "
    "If you send it as well, it becomes a second enquiry."
)
UNAVAILABLE = "This is not possible right now. Send it again in a moment: nothing is stored twice."
"""It may have been stored, if the answer of the database is what was lost; the ticket of the form tells."""

SERVER_ERROR = "Something went wrong on our side. What you typed is still here. Try again in a moment."


@dataclass(frozen=True, slots=True)
class Refusal:
    """`problem` is about the whole form, `wrong` about its fields; one of the two is empty.

    `help_id` is what to name when asking for help. `ticket_is_used` says that another enquiry has the ticket.
    """

    status: int
    headers: dict[str, str]
    problem: str = ""
    wrong: dict[str, str] = field(default_factory=dict)
    help_id: str = ""
    ticket_is_used: bool = False


def refusal(request: AnyRequest, error: Exception, texts: dict[str, str]) -> Refusal:
    """What an error means for the form that it came from, of which these texts had arrived."""
    error = translated(error)
    explained = explain(error, request.scope)
    status = explained.meaning.status
    wrong = {each.field: _message(each) for each in _faults(request, error, texts) if each.field in LABELS}
    if wrong:
        return Refusal(status, explained.headers, wrong={name: wrong[name] for name in LABELS if name in wrong})
    if isinstance(error, KeyReused):
        return Refusal(status, explained.headers, KEY_REUSED, ticket_is_used=True)
    if isinstance(error, TooManyRequests):
        when = in_words(error.retry_after)
        return Refusal(status, explained.headers, f"Too many enquiries came from your network. Try again in {when}.")
    if type(error) is Unavailable:
        return Refusal(status, explained.headers, UNAVAILABLE)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return Refusal(status, explained.headers, SERVER_ERROR, help_id=request.scope["state"]["request_id"])
    return Refusal(status, explained.headers, explained.detail)


def _faults(request: AnyRequest, error: Exception, texts: dict[str, str]) -> list[FieldError]:
    """All that is wrong with the fields. What stands behind a file that is too large was not read; nothing does."""
    if isinstance(error, Invalid):
        return list(error.errors)
    if isinstance(error, WrongKind):
        return [FieldError(FILE, error.detail)]
    if isinstance(error, TooLarge):
        too_large = resume_words(serving(request).settings).too_large
        return [*serving(request).app.intake.faults(form_of(texts, "")), FieldError(FILE, too_large)]
    return []


def _message(error: FieldError) -> str:
    """What to do about a field, by itself: the list above the form shows it without the label."""
    if error.message in {values.EMPTY, NO_FILE}:
        return MISSING[error.field]
    if error.field in {"first_name", "last_name"}:
        return f"{LABELS[error.field]}: {error.message[0].lower()}{error.message[1:]}"
    return error.message
