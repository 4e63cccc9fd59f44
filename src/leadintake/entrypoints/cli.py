"""The command line: finds a command, runs it, and turns whatever it is refused with into one line."""

import errno
import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from leadintake import __version__
from leadintake.domain.errors import Invalid, Refused, Unavailable

COMMANDS = {
    "serve": "Take submissions and send mail, until told to stop",
    "worker": "Send mail in a process of its own",
    "migrate": "Bring the database to this version",
    "users": "Add, list and deactivate those who sign in",
    "deliveries": "List mail that has not gone out, and send it again",
    "leads": "Export and erase leads, and see what happened to one",
    "doctor": "Look for anything wrong",
    "backup": "Copy everything to a folder, while the service runs",
    "restore": "Bring back what a backup holds",
    "copy": "Move from SQLite to PostgreSQL, and files to an object store",
    "version": "Show the version",
}
"""What each command does. All but `version` are in the module of leadintake.entrypoints.commands with their name."""


class Commands(click.Group):
    """Imports a command when it is called, so that none has to wait for what only another one needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name in self.commands or cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        gc.disable()  # Nothing that is imported is garbage, and looking for some takes a tenth of a start.
        try:
            module = import_module(f"leadintake.entrypoints.commands.{cmd_name}")
        finally:
            gc.enable()
        found: click.Command = getattr(module, cmd_name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command to run, with the log silenced; `serve` and `worker` turn it on."""
        name, command, rest = super().resolve_command(ctx, args)
        if name not in self.commands:
            import_module("leadintake.entrypoints.logs").silence()
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """The table, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it is refused for, or what the system refuses, is one line and exit code 1."""
        _open_what_is_closed()
        try:
            return super().invoke(ctx)
        except Refused as error:
            raise click.ClickException(_line(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            place = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{place}{error.strerror or error}.") from error


def _open_what_is_closed() -> None:
    """Let standard streams that are closed lead nowhere; else the next files that are opened would pass for them."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("r+", encoding="utf-8")  # noqa: SIM115 - stays open like the process
            setattr(sys, name, nowhere)


def _line(error: Refused) -> str:
    """Why, on one line; of what is behind it only what the database or the system says."""
    if isinstance(error, Invalid):
        return " ".join(f"{wrong.field}: {wrong.message}" for wrong in error.errors)
    cause = getattr(error.__cause__, "orig", error.__cause__) if isinstance(error, Unavailable) else None
    return f"{error.detail} ({cause})" if cause else error.detail


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="leadintake %(version)s")
def main() -> None:
    """Takes enquiries from a web form, keeps each with its resume, and brings it to the attorney who answers it.

    Settings come from the environment and from a file .env beside which a command runs.
    """


@main.command()
def version() -> None:
    """Show the version."""
    click.echo(f"leadintake {__version__}")
