"""What the service stands on beside its data: settings, the data folder, where mail goes, Redis."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import urlsplit

from leadintake.domain.errors import ChannelDown, DeliveryFailed, Unavailable
from leadintake.entrypoints.bootstrap import engines, keys
from leadintake.entrypoints.commands.findings import Finding, Verdict, as_far_as_possible, why
from leadintake.entrypoints.settings import Settings
from leadintake.entrypoints.settings.defaults import LOOPBACK

OPEN_TO_OTHERS = 0o077


def surroundings(settings: Settings, *, fix: bool) -> Iterator[Finding]:
    """Look at each of them; `fix` closes to other users what they can open."""
    yield from as_far_as_possible("settings", _settings(settings))
    if settings.needs_data_dir:
        yield from as_far_as_possible("data folder", _folder(settings.data_dir.absolute(), fix=fix))
    if settings.mail_backend == "smtp":
        yield _mail_server(settings)
    else:
        yield _mail_folder(settings.mail_dir.absolute(), is_in_use=settings.base_url.startswith("https:"))
    if settings.redis_url:
        yield _redis(settings.redis_url)


def _settings(settings: Settings) -> Iterator[Finding]:
    yield Finding("settings", Verdict.OK, f"for {settings.base_url}")
    is_local = urlsplit(settings.base_url).netloc.startswith(tuple(LOOPBACK.split(",")))
    if settings.base_url.startswith("http:") and not is_local:
        yield Finding("settings", Verdict.NOTE, "The base URL is plain http: others on the way can read what is sent.")
    if settings.base_url.startswith("https:") and not settings.trusted_proxies:
        detail = "https comes from a proxy, and none is trusted: all clients count as one address for the rate limits. "
        yield Finding("settings", Verdict.WRONG, detail + "Set LEADINTAKE_TRUSTED_PROXIES.")
    if keys.is_being_replaced(settings):
        detail = "A secret key is accepted beside the one that signs. Take it away a day after the new one came."
        yield Finding("settings", Verdict.NOTE, detail)


def _folder(folder: Path, *, fix: bool) -> Iterator[Finding]:
    """The data folder and what is in it belong to one user alone."""
    if not folder.is_dir():
        yield Finding("data folder", Verdict.WRONG, f"There is no folder {folder}.")
        return
    exposed = [path for path in (folder, *sorted(folder.iterdir())) if _is_exposed(path)]
    for path in exposed:
        if fix:
            path.chmod(path.stat().st_mode & ~OPEN_TO_OTHERS)
            yield Finding("data folder", Verdict.MENDED, f"Other users could open {path}.")
        else:
            yield Finding("data folder", Verdict.WRONG, f"Other users can open {path}. Run: chmod go= '{path}'")
    if not exposed:
        yield Finding("data folder", Verdict.OK, f"{folder} is open to nobody else.")


def _is_exposed(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & OPEN_TO_OTHERS)
    except FileNotFoundError:  # SQLite comes and goes with files of its own.
        return False


def _mail_folder(folder: Path, *, is_in_use: bool) -> Finding:
    """It takes a file; before the first mail there is none. Whoever can reach the service waits for mail in vain."""
    try:
        if os.path.lexists(folder):
            TemporaryFile(dir=folder).close()
    except OSError as error:
        return Finding("mail", Verdict.WRONG, f"No mail can be written to {folder}: {error.strerror}.")
    verdict = Verdict.WRONG if is_in_use else Verdict.NOTE
    advice = "Set LEADINTAKE_SMTP_HOST, and no LEADINTAKE_MAIL_BACKEND=console."
    return Finding("mail", verdict, f"Mail is written to {folder} and sent to nobody. {advice}")


def _mail_server(settings: Settings) -> Finding:
    """It can be reached, is who it says, and lets us sign in. No mail is sent."""
    where = f"{settings.smtp_host} port {settings.smtp_port}"
    try:
        asyncio.run(engines.ask_mail_server(settings))
    except (ChannelDown, DeliveryFailed) as error:
        return Finding("mail", Verdict.WRONG, f"{where}: {error.reason}")
    return Finding("mail", Verdict.OK, f"{where} is ready to take mail.")


def _redis(url: str) -> Finding:
    from leadintake.entrypoints.http.redis_counts import RedisCounts  # noqa: PLC0415 - as in asgi.py

    async def ask() -> None:
        counts = RedisCounts(url)
        async with counts.opened(b""):
            await counts.ping()

    try:
        asyncio.run(ask())
    except Unavailable as error:
        detail = f"Redis counts nothing ({why(error)}): as long as sign-ins are limited, nobody can sign in."
        return Finding("rate limits", Verdict.WRONG, detail)
    return Finding("rate limits", Verdict.OK, "Redis counts for all processes.")
