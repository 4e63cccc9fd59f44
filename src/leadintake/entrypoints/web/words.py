"""How pages put things into words: times, sizes, states, what happened."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

from leadintake.application.views import DeliveryView, EventView, LeadView, MailStatus, UserView
from leadintake.domain.delivery import Purpose, Status
from leadintake.domain.events import ActorKind, EventKind
from leadintake.domain.lead import State
from leadintake.domain.resume import Flag
from leadintake.domain.suspicion import Reason

STATES = {State.PENDING: "Waiting", State.REACHED_OUT: "Reached out"}
PURPOSES = {Purpose.CONFIRMATION: "Confirmation to the prospect", Purpose.NOTIFICATION: "Notice to an attorney"}
STATUSES = {
    Status.PENDING: "Waiting to be sent",
    Status.SENDING: "Being sent",
    Status.SENT: "Sent",
    Status.FAILED: "Failed",
    Status.HELD: "Held back",
}
MAILS = {
    MailStatus.FAILED: "Failed",
    MailStatus.HELD: "Held back",
    MailStatus.PENDING: "On their way",
    MailStatus.SENT: "Sent",
    MailStatus.NONE: "None",
}
FLAGS = {
    Flag.ENCRYPTED: "The file needs a password, or cannot be looked through.",
    Flag.NO_END_MARK: "The file may be cut off: its end is missing.",
    Flag.TRAILING_DATA: "Something else follows the end of the document.",
    Flag.ACTIVE_CONTENT: "The file may do something by itself when it is opened, such as run a script.",
    Flag.EMBEDDED_FILE: "Another file is carried inside it.",
}

REASONS = {
    Reason.TRAP: "A field was filled in that people do not see.",
    Reason.TOO_FAST: "It was sent sooner than anybody fills in the form.",
    Reason.LINKS: "There are addresses of websites in the name.",
    Reason.LINK: "There is the address of a website in the name.",
    Reason.NO_TICKET: "It did not come from the form as the page shows it.",
}

UNITS = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))


def moment(at: datetime) -> Markup:
    """A time in UTC, which scripts turn into the reader's own."""
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), exact(at))


def exact(at: datetime) -> str:
    """A time to the minute, in UTC."""
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def lasted(time: timedelta) -> str:
    """A time in its largest unit: 3 hours."""
    for unit, name in UNITS:
        count = time // unit
        if count > 0:
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "under a minute"


def size(count: int) -> str:
    """Bytes, as file managers count them: in thousands."""
    if count < 1000:  # noqa: PLR2004 - as the docstring says
        return f"{count} bytes"
    return f"{count / 1000:.0f} kB" if count < 999_500 else f"{count / 1e6:.1f} MB"  # noqa: PLR2004 - where it rounds up


def capped(count: int, most: int) -> str:
    """A count that was not taken any further than `most`."""
    return f"{most - 1}+" if count >= most else str(count)


def timeline(events: Sequence[EventView]) -> list[EventView]:
    """A timeline, newest first. Notes save themselves, so of one person's changes in a row only the last is told."""
    shown: list[EventView] = []
    for event in reversed(events):
        is_told = shown and event.kind is EventKind.NOTES_CHANGED is shown[-1].kind and event.actor == shown[-1].actor
        if not is_told:
            shown.append(event)
    return shown


def happened(event: EventView) -> str:
    """One line of a timeline. A kind that is not known here, of a newer version perhaps, is named as it is."""
    who = event.actor.full_name or ("The service" if event.actor.kind is ActorKind.SYSTEM else "The prospect")
    sentences: dict[EventKind, str] = {
        EventKind.SUBMITTED: f"The enquiry arrived{', and went to quarantine' if 'quarantine' in event.data else ''}.",
        EventKind.RELEASED: f"{who} released the lead from quarantine.",
        EventKind.DISCARDED: f"{who} discarded the lead.",
        EventKind.REACHED_OUT: f"{who} reached out.",
        EventKind.NOTES_CHANGED: f"{who} changed the notes.",
        EventKind.ERASED: f"{who} erased the lead.",
        EventKind.RESUME_OPENED: f"{who} opened the resume.",
        EventKind.DELIVERY_FAILED: "A mail could not be delivered.",
        EventKind.DELIVERY_RETRIED: f"{who} had a mail sent.",
    }
    return sentences.get(event.kind, f"{who}: {event.kind}")


def send(delivery: DeliveryView) -> str:
    """What to do with a mail that failed, or that was held and perhaps never sent."""
    return "Send again" if delivery.attempts else "Send now"


def badge(lead: LeadView) -> Markup:
    """How a lead stands."""
    look = "bad" if lead.quarantine else "warn" if lead.state is State.PENDING else "good"
    return Markup('<span class="badge {}">{}</span>').format(
        look, "Quarantine" if lead.quarantine else STATES[lead.state]
    )


def access(user: UserView, now: datetime) -> Markup:
    """Whether a user can sign in."""
    if not user.is_active:
        return Markup('<span class="badge">Deactivated</span>')
    active = Markup('<span class="badge good">Active</span>')
    if user.password_expires_at is None:
        return active
    if now < user.password_expires_at:
        return active + Markup(' <span class="badge warn">First password</span>')
    return active + Markup(' <span class="badge bad">Password ran out</span>')


def name_of(lead: LeadView) -> str:
    """The whole name."""
    return f"{lead.first_name} {lead.last_name}"
