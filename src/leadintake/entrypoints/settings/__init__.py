"""Every setting there is, and how its text is read. What does not go together is refused in `environment`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from leadintake.domain.errors import Refused
from leadintake.domain.resume import Kind
from leadintake.entrypoints.settings import databases, defaults, parsers

PREFIX = "LEADINTAKE_"

DATABASE = "leadintake.db"
"""The file in the data folder, where no other database is named."""

LARGEST_RESUME = 2**30
"""No setting allows more, so no resume that was ever taken is larger."""


class BadSetting(Refused):
    """A setting that the service cannot start with."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a setting is read, and what the docs say of it.

    A default is text, or made from the values of the settings above it; None leaves the setting unset. `otherwise` says
    in words what a default comes to that is no text.
    """

    parse: Callable[[str], Any]
    doc: str
    default: str | Callable[[Mapping[str, Any]], str] | None = None
    otherwise: str = "none"
    is_secret: bool = False


# One look should take in a setting.
# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting there is, in the order of the docs; `name_of` says what the environment calls one."""

    database_url: Annotated[str | None, Setting(
        databases.url,
        "Where the database is: `sqlite:///relative/path`, `sqlite:////absolute/path`, or `postgresql://user@host/name`",
        otherwise="`leadintake.db` in the data folder", is_secret=True,
    )] = field(repr=False)
    data_dir: Annotated[Path, Setting(
        parsers.path, "The folder for all that is kept: the database, `uploads/`, `mail/`, `secret.key`", "./data",
    )]
    host: Annotated[str, Setting(parsers.listening, "The address to listen on", "127.0.0.1")]
    port: Annotated[int, Setting(parsers.number(1, 65_535), "The port to listen on", "8000")]
    base_url: Annotated[str, Setting(
        parsers.url, "The address that people use; links in mails begin with it",
        defaults.base_url, "`http://`, host and port",
    )]
    admin_email: Annotated[str, Setting(
        parsers.email, "The first admin, made on the first start", "admin@example.com",
    )]
    firm_name: Annotated[str, Setting(
        parsers.firm_name, "The name that pages show and mails are sent under", "Our firm",
    )]
    form_introduction: Annotated[str, Setting(
        parsers.paragraphs, "What the form says first",
        "Tell us who you are and send your resume. An attorney will read it and reach out to you.",
    )]
    form_notice: Annotated[str, Setting(
        parsers.paragraphs, "What the form says above its button; kept with each lead, with the time when it was shown",
        "Sending this form does not create an attorney-client relationship. "
        "Please send nothing confidential before we have agreed to act for you.",
    )]
    form_next: Annotated[str, Setting(
        parsers.paragraphs, "What happens next, and when; shown once the form was sent",
        "An attorney will read your enquiry and reach out to you at the address you gave. "
        "There is nothing more for you to do.",
    )]
    form_seconds: Annotated[timedelta, Setting(
        parsers.seconds(0, parsers.FORM_MAX_SECONDS),
        "Whoever sends the form in fewer seconds is taken for a robot, and the enquiry kept apart; 0 for nobody", "3",
    )]
    privacy_url: Annotated[str | None, Setting(parsers.link, "The privacy policy, which the form links to")]
    mail_from: Annotated[str, Setting(
        parsers.email, "The sender of every mail, and who gets an answer to it",
        defaults.mail_from, "`noreply@` and the host of the base URL; `@example.com` where that is no domain",
    )]
    smtp_host: Annotated[str | None, Setting(parsers.listening, "The mail server")]
    mail_backend: Annotated[Literal["console", "smtp"], Setting(
        parsers.choice(console="console", smtp="smtp"),
        "How mail goes out: `console` writes a file for each, `smtp` hands it to a mail server",
        defaults.mail_backend, "`smtp` where there is a mail server, else `console`",
    )]
    smtp_tls: Annotated[Literal["require", "implicit", "off"], Setting(
        parsers.choice(require="require", implicit="implicit", off="off"),
        "`require` STARTTLS with a certificate that is verified, `implicit` TLS from the start, or `off`", "require",
    )]
    smtp_port: Annotated[int, Setting(
        parsers.number(1, 65_535), "Its port", defaults.smtp_port,
        "587; 465 with `implicit` TLS, 25 with none",
    )]
    smtp_username: Annotated[str | None, Setting(parsers.text, "Who signs in to it", otherwise="none: nobody signs in")]
    smtp_password: Annotated[str | None, Setting(
        parsers.text, "With which password", is_secret=True,
    )] = field(repr=False)
    attorney_email: Annotated[str | None, Setting(
        parsers.email, "Who is told of each lead", otherwise="every active attorney",
    )]
    mail_templates: Annotated[Path | None, Setting(
        parsers.folder, "A folder whose files replace the built-in mail templates of the same name",
    )]
    max_resume_bytes: Annotated[int, Setting(
        parsers.number(1, LARGEST_RESUME), "The largest resume that is taken, in bytes", "10485760",
    )]
    resume_types: Annotated[frozenset[Kind], Setting(
        parsers.kinds, "The kinds of resumes that are taken; also known are `odt`, `rtf` and `txt`", "pdf,doc,docx",
    )]
    files: Annotated[str | None, Setting(
        parsers.object_store,
        "Where resumes are kept: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`",
        otherwise="`uploads/` in the data folder",
    )]
    files_redirect: Annotated[bool, Setting(
        parsers.choice(on=True, off=False),
        "Whether a download is a redirect to a signed address of the object store: `on` or `off`", "off",
    )]
    secret_key: Annotated[bytes | None, Setting(
        parsers.secret_key, "What signs tokens and cursors: at least 32 random bytes",
        otherwise="made on the first start, in `secret.key` in the data folder", is_secret=True,
    )] = field(repr=False)
    secret_key_accepted: Annotated[bytes | None, Setting(
        parsers.secret_key, "A key whose signatures are accepted too, while the one above is replaced", is_secret=True,
    )] = field(repr=False)
    allowed_origins: Annotated[tuple[str, ...], Setting(
        parsers.separated(parsers.origin), "Origins whose pages may call the service (CORS), between commas", "",
    )]
    frame_origins: Annotated[tuple[str, ...], Setting(
        parsers.separated(parsers.origin), "Origins whose pages may show the form in a frame, between commas", "",
    )]
    allowed_hosts: Annotated[tuple[str, ...], Setting(
        parsers.separated(parsers.host), "Names that requests may use for the service, without ports, between commas",
        defaults.allowed_hosts, "the host of the base URL, and `localhost`, `127.0.0.1`, `[::1]`",
    )]
    trusted_proxies: Annotated[tuple[str, ...], Setting(
        parsers.separated(parsers.network), "Proxies whose `X-Forwarded-*` headers count: addresses or blocks", "",
    )]
    rate_limit_submit: Annotated[str | None, Setting(
        parsers.rate, "Submissions from one network address, or `off`", "30/minute",
    )]
    rate_limit_megabytes: Annotated[str | None, Setting(
        parsers.rate, "Megabytes of resumes from one network address, or `off`",
        defaults.rate_limit_megabytes,
        "`500/day`; `off` where submissions are",
    )]
    rate_limit_login: Annotated[str | None, Setting(
        parsers.rate, "Sign-ins from one network address, right ones too, or `off`", "10/minute",
    )]
    confirmations_per_address: Annotated[str | None, Setting(
        parsers.rate, "Confirmations to one mailbox, or `off`; more are held until somebody sends them", "3/day",
    )]
    confirmations_total: Annotated[str | None, Setting(
        parsers.rate, "Confirmations to all mailboxes, or `off`; more are held likewise", "off",
    )]
    max_uploads: Annotated[int, Setting(
        parsers.number(1, 10_000), "Submissions taken in at once; one more is told to try again", "64",
    )]
    redis_url: Annotated[str | None, Setting(
        parsers.redis_url, "A Redis or Valkey server that counts for all processes: `redis://` or `rediss://`",
        otherwise="none: each process counts for itself", is_secret=True,
    )] = field(repr=False)
    worker: Annotated[Literal["inline", "separate"], Setting(
        parsers.choice(inline="inline", separate="separate"),
        "Who sends mail: `inline` the service itself, `separate` processes of `leadintake worker`", "inline",
    )]
    retention_days: Annotated[int | None, Setting(
        parsers.number(30, 36_500),
        "Days without a change after which a lead is erased that was reached out to, or is in quarantine; at least 30",
        otherwise="never",
    )]
    sweep_after: Annotated[timedelta, Setting(
        parsers.seconds(parsers.SWEEP_AFTER_MIN_SECONDS, 365 * 86_400),
        "Seconds after which a file that no lead refers to is removed; at least 600", "3600",
    )]
    docs: Annotated[bool, Setting(
        parsers.choice(on=True, off=False), "Whether `/docs` and `/openapi.json` are there: `on` or `off`", "on",
    )]
    metrics_token: Annotated[str | None, Setting(
        parsers.token, "The bearer token for `/metrics`: at least 16 random characters",
        otherwise="none: metrics for the machine itself only", is_secret=True,
    )] = field(repr=False)
    log_format: Annotated[Literal["console", "json"], Setting(
        parsers.choice(console="console", json="json"), "How log lines look: `console` or `json`",
        defaults.log_format, "`console` on a terminal, else `json`",
    )]
    store_options: Mapping[str, str] = field(repr=False, default_factory=dict)

    @property
    def postgres_url(self) -> str | None:
        """Where PostgreSQL is, if it is the database."""
        return self.database_url if self.database_url and self.database_url.startswith("postgresql:") else None

    @property
    def database_path(self) -> Path:
        """The file of the SQLite database, if that is the database."""
        return databases.sqlite_path(self.database_url) if self.database_url else self.data_dir / DATABASE

    @property
    def needs_data_dir(self) -> bool:
        """Whether anything is kept in the data folder."""
        return not (self.postgres_url and self.files and self.mail_backend == "smtp")

    @property
    def uploads_dir(self) -> Path:
        """Where the resumes are."""
        return self.data_dir / "uploads"

    @property
    def mail_dir(self) -> Path:
        """Where mails are written to."""
        return self.data_dir / "mail"
# fmt: on


SETTINGS: dict[str, Setting] = {
    attribute: hint.__metadata__[0]
    for attribute, hint in get_type_hints(Settings, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}


def name_of(attribute: str) -> str:
    """The name of a setting in the environment."""
    return "DATABASE_URL" if attribute == "database_url" else f"{PREFIX}{attribute.upper()}"
