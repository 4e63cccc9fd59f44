"""The settings of a process: from the environment, over a .env file, over the defaults."""

import os
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from leadintake.entrypoints.settings import PREFIX, SETTINGS, BadSetting, Settings, name_of

STORE_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_")
STORE_SECRETS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_STORAGE_SAS_TOKEN",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
)


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
        text = _text(given, name, is_secret=setting.is_secret)
        shown = " is not set" if text is None else "" if setting.is_secret else f" is {text!r}"
        try:
            if text is None:
                text = setting.default(values) if callable(setting.default) else setting.default
            values[attribute] = setting.parse(text) if text is not None else None
        except ValueError as error:
            raise BadSetting(f"{name}{shown}: {error}.") from None
    del values["terminal"]
    settings = Settings(**values, store_options=_store_options(given))
    _check(settings)
    return settings


def _text(given: Mapping[str, str], name: str, *, is_secret: bool) -> str | None:
    """What was given for a setting, perhaps in a file; None when nothing was."""
    text, file = given.get(name), given.get(f"{name}_FILE") if is_secret else None
    if text is not None and file is not None:
        raise BadSetting(f"{name} and {name}_FILE are both set. Remove one of them.")
    if file is not None:
        name = f"{name}_FILE"
    if file:
        try:
            text = Path(file).read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "It is not text"
            raise BadSetting(f"{name} is {file!r}, which cannot be read: {why}.") from None
        if not text:
            raise BadSetting(f"{name} is {file!r}, which is empty. Write the value into it.")
    if "" in {text, file}:
        raise BadSetting(f"{name} is empty. Give it a value or remove it.")
    return text


def _store_options(given: Mapping[str, str]) -> dict[str, str]:
    """What object storage is reached with, named as its own tools name it, in lower case."""
    options = {name: text for name, text in given.items() if name.startswith(STORE_PREFIXES)}
    for name in STORE_SECRETS:
        if (text := _text(given, name, is_secret=True)) is not None:
            options[name] = text
            options.pop(f"{name}_FILE", None)
    return {name.lower(): text for name, text in options.items()}


def _check_names(given: Mapping[str, str]) -> None:
    """Raise BadSetting for a name that means nothing, so that a slip of the pen is not silently a default."""
    known = {name_of(attribute) for attribute in SETTINGS}
    known |= {f"{name_of(attribute)}_FILE" for attribute, setting in SETTINGS.items() if setting.is_secret}
    for name in sorted(given):
        if name.startswith(PREFIX) and name not in known:
            nearest = get_close_matches(name, known, n=1, cutoff=0)[0]
            raise BadSetting(f"There is no setting {name}. The nearest is {nearest}.")


def _check(settings: Settings) -> None:
    """Raise BadSetting for settings that do not go together."""
    if settings.postgres_url and not settings.secret_key:
        raise BadSetting(
            "LEADINTAKE_SECRET_KEY is not set. With PostgreSQL it has to be, the same for every process: "
            "make one with `openssl rand -base64 48`."
        )
    if settings.files_redirect and not settings.files:
        raise BadSetting("LEADINTAKE_FILES_REDIRECT is 'on': that needs an object store. Set LEADINTAKE_FILES.")
    if settings.mail_backend == "smtp" and not settings.smtp_host:
        raise BadSetting("LEADINTAKE_SMTP_HOST is not set. Name the mail server.")
    if bool(settings.smtp_username) != bool(settings.smtp_password):
        raise BadSetting("LEADINTAKE_SMTP_USERNAME and LEADINTAKE_SMTP_PASSWORD go together. Set both or neither.")
    if settings.smtp_password and settings.smtp_tls == "off":
        raise BadSetting("LEADINTAKE_SMTP_TLS is 'off': the password would cross the network in clear. Use TLS.")


def _dotenv(file: Path) -> dict[str, str]:
    """The names and values of a .env file, taken literally; none where there is no file."""
    try:
        with file.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise BadSetting(f"{file} is not UTF-8. Save it as UTF-8.") from None
    for binding in bindings:
        if binding.error:
            raise BadSetting(f"Line {binding.original.line} of {file} is not NAME=value.")
    return {binding.key: binding.value or "" for binding in bindings if binding.key}
