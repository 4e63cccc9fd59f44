"""Defaults that follow from other settings, by their values; the settings they follow from stand above them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from leadintake.entrypoints.settings.parsers import email, is_address

LOOPBACK = "localhost,127.0.0.1,[::1]"
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to know them, not to listen on them

SMTP_PORTS = {"require": "587", "implicit": "465", "off": "25"}
"""RFC 6409 for submission, RFC 8314 for implicit TLS, RFC 5321 for a relay that asks nothing."""

Values = Mapping[str, Any]


def base_url(values: Values) -> str:
    """Where the service listens, as a browser on the same machine calls it."""
    host = "localhost" if values["host"] in EVERY_ADDRESS else values["host"]
    return f"http://{f'[{host}]' if ':' in host else host}:{values['port']}"


def mail_from(values: Values) -> str:
    """An address that nobody reads, in the domain of the base URL where it is one; raises ValueError."""
    host = urlsplit(values["base_url"]).hostname or ""
    sender = f"noreply@{host}" if "." in host and not is_address(host) else "noreply@example.com"
    try:
        return email(sender)
    except ValueError as error:
        raise ValueError(f"{sender}, after LEADINTAKE_BASE_URL, is not valid; {error}") from None


def mail_backend(values: Values) -> str:
    """A mail server that is named is meant to be used."""
    return "smtp" if values["smtp_host"] else "console"


def smtp_port(values: Values) -> str:
    """The port that belongs to the kind of TLS."""
    return SMTP_PORTS[values["smtp_tls"]]


def allowed_hosts(values: Values) -> str:
    """The host of the base URL, and this machine's own names."""
    parts = urlsplit(values["base_url"])
    return f"{parts.netloc.removesuffix(f':{parts.port}')},{LOOPBACK}"


def rate_limit_megabytes(values: Values) -> str:
    """No limit where submissions have none."""
    return "off" if values["rate_limit_submit"] is None else "500/day"


def log_format(values: Values) -> str:
    """For a person at a terminal, or for a program."""
    return "console" if values["terminal"] else "json"
