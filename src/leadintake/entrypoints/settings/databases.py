"""Where the database is, from the text of a setting. Each parser raises ValueError, saying what to give instead."""

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from leadintake.entrypoints.settings import parsers


def url(text: str) -> str:
    """The URL of a database that is supported; raises for a SQLAlchemy driver in it, which is ours to choose."""
    scheme, _, rest = text.partition("://")
    if scheme in {"postgres", "postgresql"}:
        if not _is_unambiguous(rest):
            raise ValueError(
                "give postgresql://user:password@host:port/name, with a port from 1 to 65535. "
                "In the password write what is not a letter or digit as % and two hex digits"
            )
        return f"postgresql://{rest}"
    sqlite_path(text)
    return text


def sqlite_path(text: str) -> Path:
    """The file of a SQLite URL: sqlite:///relative/path or sqlite:////absolute/path."""
    scheme, slashes, file = text.partition(":///")
    if scheme != "sqlite" or not slashes or not file or file == ":memory:" or "?" in file:
        raise ValueError("give sqlite:///relative/path, sqlite:////absolute/path or postgresql://user@host/name")
    return parsers.path(unquote(file))


def _is_unambiguous(rest: str) -> bool:
    """Whether what follows postgresql:// can be taken apart in one way only.

    A password ends at the first of / ? # and @. Where it has one of them itself, there is an @ too many: the rest of it
    would pass for a host or a name, which are printed.
    """
    try:
        parts = urlsplit(f"//{rest}")
        parse_qs(parts.query, strict_parsing=bool(parts.query))
        _, at, hosts = parts.netloc.partition("@")
        ports = [urlsplit(f"//{host}").port for host in hosts.split(",")]
    except ValueError:
        return False
    return bool(parts.path.strip("/")) and not parts.fragment and rest.count("@") == len(at) and 0 not in ports
