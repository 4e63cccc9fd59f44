"""Settings: read once, from the environment over a .env file, and checked before anything starts."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import urlsplit

from dotenv.parser import parse_stream

from leadintake.domain.errors import Refused
from leadintake.domain.resume import Kind
from leadintake.entrypoints import parsers

PREFIX = "LEADINTAKE_"
LOOPBACK = "localhost,127.0.0.1,[::1]"
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to know them, not to listen on them

LATER = {"MAIL_BACKEND": "console", "WORKER": "inline", "FILES": None, "FILES_REDIRECT": "off", "REDIS_URL": None}
"""Settings that a later version will have, each with the value that may be given already because it is so anyway."""

LATER_GROUP = "SMTP_"


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


def _base_url(values: Mapping[str, Any]) -> str:
    host = "localhost" if values["host"] in EVERY_ADDRESS else values["host"]
    return f"http://{f'[{host}]' if ':' in host else host}:{values['port']}"


def _mail_from(values: Mapping[str, Any]) -> str:
    host = urlsplit(values["base_url"]).hostname or ""
    return f"noreply@{host}" if "." in host and not parsers.is_address(host) else "noreply@example.com"


def _allowed_hosts(values: Mapping[str, Any]) -> str:
    parts = urlsplit(values["base_url"])
    return f"{parts.netloc.removesuffix(f':{parts.port}')},{LOOPBACK}"


# One look should take in a setting.
# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting there is, in the order of the docs; `name_of` says what the environment calls one."""

    database_url: Annotated[str | None, Setting(
        parsers.database_url, "Where the database is: `sqlite:///relative/path` or `sqlite:////absolute/path`",
        otherwise="`leadintake.db` in the data folder", is_secret=True,
    )] = field(repr=False)
    data_dir: Annotated[Path, Setting(
        parsers.path, "The folder for all that is kept: the database, `uploads/`, `mail/`, `secret.key`", "./data",
    )]
    host: Annotated[str, Setting(parsers.listening, "The address to listen on", "127.0.0.1")]
    port: Annotated[int, Setting(parsers.number(1, 65_535), "The port to listen on", "8000")]
    base_url: Annotated[str, Setting(
        parsers.url, "The address that people use; links in mails begin with it", _base_url, "`http://`, host and port",
    )]
    admin_email: Annotated[str, Setting(
        parsers.email, "The first admin, made on the first start", "admin@example.com",
    )]
    firm_name: Annotated[str, Setting(parsers.firm_name, "The name that mails are sent under", "Our firm")]
    mail_from: Annotated[str, Setting(
        parsers.email, "The sender of every mail, and who gets an answer to it",
        _mail_from, "`noreply@` and the host of the base URL; `@example.com` where that is no domain",
    )]
    attorney_email: Annotated[str | None, Setting(
        parsers.email, "Who is told of each lead", otherwise="every active attorney",
    )]
    mail_templates: Annotated[Path | None, Setting(
        parsers.folder, "A folder whose files replace the built-in mail templates of the same name",
    )]
    max_resume_bytes: Annotated[int, Setting(
        parsers.number(1, 2**30), "The largest resume that is taken, in bytes", "10485760",
    )]
    resume_types: Annotated[frozenset[Kind], Setting(
        parsers.kinds, "The kinds of resumes that are taken; also known are `odt`, `rtf` and `txt`", "pdf,doc,docx",
    )]
    secret_key: Annotated[bytes | None, Setting(
        parsers.secret_key, "What signs tokens and cursors: at least 32 random bytes",
        otherwise="made on the first start, in `secret.key` in the data folder", is_secret=True,
    )] = field(repr=False)
    allowed_origins: Annotated[tuple[str, ...], Setting(
        parsers.separated(parsers.origin), "Origins whose pages may call the service (CORS), between commas", "",
    )]
    allowed_hosts: Annotated[tuple[str, ...], Setting(
        parsers.separated(parsers.host), "Names that requests may use for the service, without ports, between commas",
        _allowed_hosts, "the host of the base URL, and `localhost`, `127.0.0.1`, `[::1]`",
    )]
    trusted_proxies: Annotated[tuple[str, ...], Setting(
        parsers.separated(parsers.network), "Proxies whose `X-Forwarded-*` headers count: addresses or blocks", "",
    )]
    rate_limit_submit: Annotated[str | None, Setting(
        parsers.rate, "Submissions from one network address, or `off`", "30/minute",
    )]
    rate_limit_login: Annotated[str | None, Setting(
        parsers.rate, "Sign-ins from one network address, or `off`", "10/minute",
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
    sweep_after: Annotated[timedelta, Setting(
        parsers.sweep_after, "Seconds after which a file that no lead refers to is removed; at least 600", "3600",
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
        lambda values: "console" if values["terminal"] else "json", "`console` on a terminal, else `json`",
    )]

    @property
    def database_path(self) -> Path:
        """The file of the SQLite database."""
        return parsers.sqlite_path(self.database_url) if self.database_url else self.data_dir / "leadintake.db"

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
    attribute: hint.__metadata__[0] for attribute, hint in get_type_hints(Settings, include_extras=True).items()
}


def name_of(attribute: str) -> str:
    """The name of a setting in the environment."""
    return "DATABASE_URL" if attribute == "database_url" else f"{PREFIX}{attribute.upper()}"


def read() -> Settings:
    """The settings of this process; raises BadSetting or OSError."""
    return load(os.environ, _dotenv(Path(".env")), terminal=sys.stderr.isatty())


def load(environ: Mapping[str, str], dotenv: Mapping[str, str], *, terminal: bool = False) -> Settings:
    """Settings from the environment, else from the .env file, else the defaults; raises BadSetting."""
    given = {**dotenv, **environ}
    _check_names(given)
    values: dict[str, Any] = {"terminal": terminal}
    for attribute, setting in SETTINGS.items():
        name = name_of(attribute)
        text = _text(given, name, setting)
        if text is None:
            text = setting.default(values) if callable(setting.default) else setting.default
        try:
            values[attribute] = setting.parse(text) if text is not None else None
        except ValueError as error:
            shown = "" if setting.is_secret else f" is {text!r}"
            raise BadSetting(f"{name}{shown}: {error}.") from None
    del values["terminal"]
    return Settings(**values)


def _text(given: Mapping[str, str], name: str, setting: Setting) -> str | None:
    """What was given for a setting, perhaps in a file; None when nothing was."""
    text, file = given.get(name), given.get(f"{name}_FILE") if setting.is_secret else None
    if text is not None and file is not None:
        raise BadSetting(f"{name} and {name}_FILE are both set. Remove one of them.")
    if file is not None:
        try:
            text = Path(file).read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "It is not text"
            raise BadSetting(f"{name}_FILE is {file!r}, which cannot be read: {why}.") from None
    if text == "":
        raise BadSetting(f"{name} is empty. Give it a value or remove it.")
    return text


def _check_names(given: Mapping[str, str]) -> None:
    """Raise BadSetting for a name that means nothing, so that a slip of the pen is not silently a default."""
    known = {name_of(attribute) for attribute in SETTINGS}
    known |= {f"{name_of(attribute)}_FILE" for attribute, setting in SETTINGS.items() if setting.is_secret}
    for name in sorted(given):
        if not name.startswith(PREFIX) or name in known:
            continue
        later = name.removeprefix(PREFIX)
        if later not in LATER and not later.startswith(LATER_GROUP):
            nearest = get_close_matches(name, known, n=1, cutoff=0)[0]
            raise BadSetting(f"There is no setting {name}. The nearest is {nearest}.")
        if given[name] != (so_far := LATER.get(later)):
            only = f" So far it can only be {so_far}." if so_far else ""
            raise BadSetting(f"{name} is for a later version.{only}")


def _dotenv(file: Path) -> dict[str, str]:
    """The names and values of a .env file, taken literally; none where there is no file."""
    try:
        with file.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return {}
    for binding in bindings:
        if binding.error:
            raise BadSetting(f"Line {binding.original.line} of {file} is not NAME=value.")
    return {binding.key: binding.value or "" for binding in bindings if binding.key}
