"""Logs: one line for each fact, whatever a stranger put into a name, a path or a header."""

import asyncio
import json
import logging
import sys
from contextlib import suppress
from typing import BinaryIO, Literal

import msgspec
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.typing import EventDict, Processor

STANDARD_ERROR = 2
AS_JSON = msgspec.json.Encoder(enc_hook=str)


def configure(log_format: Literal["console", "json"], stream: BinaryIO | None = None) -> None:
    """Send structlog and the standard library's logging the same way: to standard error, or another unbuffered stream.

    Times are UTC. That neither secrets nor personal data are logged is the callers' concern: they log ids.
    """
    out = stream or open(STANDARD_ERROR, "wb", buffering=0, closefd=False)  # noqa: SIM115 - stays open like the process
    lines = _Lines(out)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *([_json] if log_format == "json" else [_escaped, _console()]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=stream is None,  # Made for each line, they take a hundredth of a submission.
    )
    root = logging.getLogger()
    root.handlers = [_Handover()]
    root.setLevel(logging.WARNING)


def silence() -> None:
    """Log nothing, for a command, which says in one line what went wrong, and prints what others may read on."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    logging.getLogger().addHandler(logging.NullHandler())


def visible(text: str) -> str:
    """Text that cannot end a line, turn it around or command a terminal: whatever does not print is escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _json(_logger: object, _method: str, event: EventDict) -> str:
    """All but ASCII is escaped, and so is DEL, the one ASCII character that JSON would let pass.

    Nearly every line is plain: msgspec writes it in a sixth of the time, but escapes less, and takes no half character.
    """
    first = {key: event.pop(key) for key in ("timestamp", "level", "event")}
    line = {**first, **event}
    with suppress(ValueError):
        plain = AS_JSON.encode(line)
        if plain.isascii() and b"\x7f" not in plain:
            return plain.decode()
    return json.dumps(line, default=str, separators=(",", ":")).replace("\x7f", r"\u007f")


def _escaped(_logger: object, _method: str, event: EventDict) -> EventDict:
    trace = event.pop("exception", None)
    escaped = {key: value if isinstance(value, int | float) else visible(str(value)) for key, value in event.items()}
    if trace is not None:  # Indented, so that no message of an exception can pass for a line of the log.
        escaped["exception"] = "\n".join(f"    {visible(line)}" for line in trace.split("\n"))
    return escaped


def _console() -> Processor:
    return ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback)


class _Lines:
    """Where lines go. A full disk or a closed pipe loses them and stops nothing else.

    What only informs is written together, after the event loop's step in which it was logged: each write gives up the
    GIL, and waiting for it took a tenth of the event loop's time under load. The rest is written first.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._gathered: list[str] = []

    def info(self, line: str) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.error(line)
        else:
            self._gathered.append(line)
            loop.call_soon(self._write_gathered)

    def error(self, line: str) -> None:
        left = line.encode() + b"\n"
        with suppress(OSError):
            while left:  # A signal may cut off what a full pipe has no room for.
                left = left[self._stream.write(left) or len(left) :]

    warning = critical = error

    def _write_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            self.error("\n".join(gathered))


class _Handover(logging.Handler):
    """Hands what libraries log to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
