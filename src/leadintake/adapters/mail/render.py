"""What a letter says: the templates, and the facts each of them may see."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import TypedDict
from unicodedata import category
from urllib.parse import quote

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    meta,
    select_autoescape,
)

from leadintake.adapters.mail.message import compose, header_text, named_mailbox, wire_address
from leadintake.application.ports.deliveries import Letter
from leadintake.domain.delivery import Purpose
from leadintake.domain.errors import DeliveryFailed
from leadintake.domain.greeting import greeting_name
from leadintake.domain.values import JOINERS

BUILT_IN = Path(__file__).parent / "templates"


class SubjectFacts(TypedDict):
    """What a subject may say: nothing that the prospect typed."""

    firm_name: str
    reference: str


class ConfirmationFacts(SubjectFacts):
    """What the confirmation may say. `name` is None where what was typed is not plainly a name."""

    name: str | None


class NotificationFacts(SubjectFacts):
    """What the mail to the attorney may say."""

    received_at: str
    name: str
    email: str
    email_url: str
    resume_name: str
    lead_url: str


TEMPLATES: Mapping[str, type[SubjectFacts]] = {
    "confirmation.subject.txt": SubjectFacts,
    "confirmation.txt": ConfirmationFacts,
    "confirmation.html": ConfirmationFacts,
    "notification.subject.txt": SubjectFacts,
    "notification.txt": NotificationFacts,
    "notification.html": NotificationFacts,
}


class Renderer:
    """Makes messages from letters; safe to share between threads.

    A file of `templates_dir` replaces the built-in template of the same name. Raises ValueError when one of them is
    broken or asks for something it may not see, when there is no such folder, or when mail cannot carry an address.
    """

    def __init__(
        self,
        *,
        firm_name: str,
        mail_from: str,
        base_url: str,
        templates_dir: Path | None = None,
    ) -> None:
        self._firm_name = firm_name
        self._base_url = base_url.rstrip("/")
        try:
            self._sender = wire_address(mail_from)
        except DeliveryFailed as error:
            raise ValueError(f"mail cannot be sent from {mail_from}: {error.reason}") from error
        if not self._sender.isascii():
            raise ValueError(f"mail cannot be sent from {mail_from}: not every server takes such letters before the @")
        self._from = named_mailbox(firm_name, self._sender)
        self._templates = _load(templates_dir)

    def render(self, letter: Letter) -> bytes:
        """Return the finished message, the same bytes in every attempt; raises DeliveryFailed."""
        recipient = wire_address(letter.recipient)
        subject = self._subject_facts(letter)
        facts = self._confirmation_facts if letter.purpose is Purpose.CONFIRMATION else self._notification_facts
        body = facts(letter, subject)
        headers = {
            "From": self._from,
            "To": recipient,
            "Reply-To": self._sender,
            "Subject": header_text(self._text(f"{letter.purpose}.subject.txt", subject)),
            "Date": _date(letter.created_at.replace(microsecond=0)),
            "Message-ID": letter.message_id,
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "X-Lead-Event-ID": letter.event_id,
        }
        plain, html = (self._text(f"{letter.purpose}.{kind}", body) for kind in ("txt", "html"))
        return compose(headers, plain, html)

    def _text(self, name: str, facts: SubjectFacts) -> str:
        """As Template.render does, which joins facts and globals one by one and takes four times as long."""
        template = self._templates[name]
        context = template.new_context({**template.environment.globals, **facts}, shared=True)
        try:
            return "".join(template.root_render_func(context))
        except TemplateError as error:
            raise DeliveryFailed(f"mail template {name}: {error.message}", permanent=False) from error

    def _subject_facts(self, letter: Letter) -> SubjectFacts:
        return {"firm_name": self._firm_name, "reference": letter.reference}

    @staticmethod
    def _confirmation_facts(letter: Letter, subject: SubjectFacts) -> ConfirmationFacts:
        return {**subject, "name": greeting_name(letter.first_name, letter.last_name)}

    def _notification_facts(self, letter: Letter, subject: SubjectFacts) -> NotificationFacts:
        return {
            **subject,
            "received_at": f"{letter.created_at:%Y-%m-%d %H:%M} UTC",
            "name": _visible(f"{letter.first_name} {letter.last_name}"),
            "email": _visible(letter.email),
            "email_url": "mailto:" + quote(letter.email, safe="@"),
            "resume_name": _visible(letter.resume_name),
            "lead_url": f"{self._base_url}/inbox/leads/{letter.lead_id}",
        }


def _load(folder: Path | None) -> dict[str, Template]:
    """Compile all templates; raises ValueError for one that could never be rendered."""
    if folder and not folder.is_dir():
        raise ValueError(f"there is no folder of mail templates at {folder}")
    loader = ChoiceLoader([FileSystemLoader(path) for path in (folder, BUILT_IN) if path])
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        newline_sequence="\r\n",
        keep_trailing_newline=True,
        auto_reload=False,
    )
    templates = {}
    for name, facts in TEMPLATES.items():
        try:
            templates[name] = environment.get_template(name)
            asked = meta.find_undeclared_variables(environment.parse(loader.get_source(environment, name)[0]))
        except TemplateError as error:
            raise ValueError(f"mail template {name}: {error.message}") from error
        unknown = asked - facts.__annotations__.keys() - environment.globals.keys()
        if unknown:
            raise ValueError(f"mail template {name} asks for {', '.join(sorted(unknown))}, which it does not get")
    return templates


@lru_cache(16)
def _date(second: datetime) -> str:
    """Kept for the mails of the same second, because it takes a twelfth of the time of rendering one."""
    return format_datetime(second)


def _visible(text: str) -> str:
    """Return text on one line without what is invisible or turns the direction of what follows."""
    if text.isprintable():
        return text
    spaced = "".join(" " if c.isspace() else c for c in text)
    return "".join(c for c in spaced if c in JOINERS or category(c) not in {"Cc", "Cf", "Cs"})
