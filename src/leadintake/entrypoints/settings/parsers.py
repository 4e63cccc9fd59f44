"""The text of a setting becomes its value. Each parser raises ValueError, saying what to give instead."""

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import limits
from email_validator import EmailNotValidError, validate_email

from leadintake.application.ports.security import SECRET_KEY_MIN_BYTES
from leadintake.domain import values
from leadintake.domain.errors import Invalid
from leadintake.domain.resume import Kind

T = TypeVar("T")

TOKEN_MIN_CHARACTERS = 16
FEWEST_DIFFERENT = 8
"""A long secret of fewer different characters was typed, not made."""

SWEEP_AFTER_MIN_SECONDS = 600
"""Ten minutes are far more than lie between the last byte of a file and the commit of its lead."""

FORM_MAX_SECONDS = 60
"""Many people need no longer for four fields, and a firm that asks for more would see them all in quarantine."""

PARAGRAPHS_MAX_CHARACTERS = 2000

RATE_MAX_SECONDS = 366 * 86_400
"""More is a slip of the pen, and much more is no date any longer."""

_LABEL = "(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_DEFAULT_PORTS = {("http", 80), ("https", 443)}


def path(text: str) -> Path:
    """A path, "~" expanded."""
    try:
        found = Path(text).expanduser()
    except RuntimeError:
        raise ValueError("that ~ is nobody's home; write the path in full") from None
    if "\0" in text:
        raise ValueError("give a path without a null character")
    return found


def folder(text: str) -> Path:
    """The path of a folder that is there."""
    found = path(text)
    if not found.is_dir():
        raise ValueError("name a folder that exists")
    return found


def number(low: int, high: int) -> Callable[[str], int]:
    """A whole number from `low` to `high`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"give a whole number from {low} to {high}")
        return int(text)

    return parse


def seconds(low: int, high: int) -> Callable[[str], timedelta]:
    """A time from `low` to `high` in whole seconds."""
    return lambda text: timedelta(seconds=number(low, high)(text))


def choice(**meanings: T) -> Callable[[str], T]:
    """One of these words."""

    def parse(text: str) -> T:
        if text not in meanings:
            raise ValueError(f"give {' or '.join(meanings)}")
        return meanings[text]

    return parse


def separated(parse: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Values between commas, each once; spaces around them do not count, and nothing at all is no value."""
    return lambda text: tuple(dict.fromkeys(parse(part.strip()) for part in text.split(",") if text))


def kinds(text: str) -> frozenset[Kind]:
    """Kinds of files by their extensions."""
    return frozenset(separated(choice(**{kind.value: kind for kind in Kind}))(text))


def rate(text: str) -> str | None:
    """So many in a time, as the limits library writes it (30/minute); None for "off"."""
    if text == "off":
        return None
    try:
        [found] = limits.parse_many(text)
    except ValueError:
        found = None
    if found is None or found.amount < 1 or found.get_expiry() > RATE_MAX_SECONDS:
        raise ValueError("give one rate of at most a year, such as 30/minute or 3/day, or off")
    return text


def email(text: str) -> str:
    """One plain address; an internal domain is fine, because the operator knows the network."""
    try:
        return validate_email(text, check_deliverability=False, globally_deliverable=False).normalized
    except EmailNotValidError:
        raise ValueError("give one plain address such as office@example.com") from None


def firm_name(text: str) -> str:
    """One line that is a name."""
    try:
        return values.name(text, "firm_name")
    except Invalid as error:
        raise ValueError(error.errors[0].message) from None


def paragraphs(text: str) -> str:
    r"""Plain text with paragraphs between blank lines; a line ends where it does, or at a \n that is written out."""
    plain = "\n".join(line.strip() for line in text.replace("\\n", "\n").splitlines()).strip()
    is_text = all(c == "\n" or unicodedata.category(c) not in {"Cc", "Cs", "Co", "Cn"} for c in plain)
    if not plain or not is_text or len(plain) > PARAGRAPHS_MAX_CHARACTERS:
        raise ValueError(f"give plain text of at most {PARAGRAPHS_MAX_CHARACTERS:,} characters")
    return re.sub("\n{3,}", "\n\n", plain)


def secret_key(text: str) -> bytes:
    """At least 32 bytes that look random."""
    key = text.encode()
    if len(key) < SECRET_KEY_MIN_BYTES or len(set(key)) < FEWEST_DIFFERENT:
        raise ValueError(f"give at least {SECRET_KEY_MIN_BYTES} random bytes, such as `openssl rand -base64 48` prints")
    return key


def token(text: str) -> str:
    """A secret that fits into a header."""
    if len(text) < TOKEN_MIN_CHARACTERS or len(set(text)) < FEWEST_DIFFERENT or not re.fullmatch("[!-~]+", text):
        raise ValueError(f"give at least {TOKEN_MIN_CHARACTERS} random characters, visible ASCII without spaces")
    return text


def listening(text: str) -> str:
    """A network address, an IPv6 one perhaps in brackets, or a host name to listen on."""
    return text if is_address(text) else host(text).strip("[]")


def host(text: str) -> str:
    """A name or address as it stands in a Host header, in lower case, an IPv6 address in brackets, without a port."""
    name = text.lower()
    if not _HOST_NAME.fullmatch(name) and not (name.startswith("[") and name.endswith("]") and is_address(name[1:-1])):
        raise ValueError("give a host name or address without a port, such as intake.example.com or [::1]")
    return name


def network(text: str) -> str:
    """A network address or a block of them (10.0.0.0/8)."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("give network addresses such as 10.0.0.7 or 10.0.0.0/8") from None
    return text


def url(text: str) -> str:
    """An http or https address, its host in lower case, without a query and without a slash at its end."""
    wrong = ValueError("give an address such as https://intake.example.com")
    try:
        parts = urlsplit(text)
        netloc = host(parts.netloc.removesuffix(f":{parts.port}"))
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or parts.query or parts.fragment or not re.fullmatch("[!-~]*", parts.path):
        raise wrong
    port = "" if parts.port is None or (parts.scheme, parts.port) in _DEFAULT_PORTS else f":{parts.port}"
    return f"{parts.scheme}://{netloc}{port}{parts.path.rstrip('/')}"


def link(text: str) -> str:
    """The http or https address of a page, as it is."""
    before_query = re.split("[?#]", text, maxsplit=1)[0]
    try:
        url(before_query)
    except ValueError:
        raise ValueError("give the address of a page such as https://www.example.com/privacy") from None
    if not re.fullmatch("[!-~]+", text):
        raise ValueError("give the address as a browser shows it when it is copied, without spaces")
    return text


def origin(text: str) -> str:
    """What a browser sends as Origin: scheme, host and port, no path."""
    found = url(text)
    if urlsplit(found).path:
        raise ValueError("give origins without a path, such as https://www.example.com")
    return found


def object_store(text: str) -> str:
    """The URL of a bucket or container, perhaps with a prefix, without a slash at its end."""
    scheme, _, rest = text.partition("://")
    if scheme not in {"s3", "gs", "az"} or not re.fullmatch(r"[a-z0-9][a-z0-9._-]+(/\w[\w.-]*)*/?", rest, re.ASCII):
        raise ValueError("give s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")
    return text.rstrip("/")


def redis_url(text: str) -> str:
    """The URL of a Redis or Valkey server."""
    if not re.fullmatch(r"rediss?://[!-~]+", text):
        raise ValueError("give redis://host:6379/0, or rediss:// for TLS")
    return text


def text(given: str) -> str:
    """Whatever it is."""
    return given


def is_address(text: str) -> bool:
    """Whether this is a network address, an IPv6 one without brackets."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
