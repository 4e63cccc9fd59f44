"""A machine with a data folder, and its operator at the command line."""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import chdir, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from click.testing import CliRunner, Result
from tests.documents import pdf
from tests.kept_logging import kept_logging

from leadintake.application.app import App
from leadintake.application.intake import Form
from leadintake.application.views import LeadView
from leadintake.domain.delivery import Purpose
from leadintake.entrypoints.bootstrap import opened
from leadintake.entrypoints.cli import main
from leadintake.entrypoints.settings import Settings
from leadintake.entrypoints.settings.environment import load

T = TypeVar("T")


@dataclass(frozen=True)
class Machine:
    """Commands run in this process; `data_dir` need not be there yet."""

    data_dir: Path

    @property
    def settings(self) -> Settings:
        """What the commands run with."""
        return load({"LEADINTAKE_DATA_DIR": str(self.data_dir)}, {})

    def run(self, *arguments: str, given: str | bytes | None = None, **environ: str) -> Result:
        """Run a command where no .env file is; `given` is typed into it."""
        clean = dict.fromkeys(name for name in os.environ if name.startswith("LEADINTAKE_"))
        env = {**clean, "LEADINTAKE_DATA_DIR": str(self.data_dir), **environ}
        with chdir(self.data_dir.parent), kept_logging():
            return CliRunner(env=env).invoke(main, arguments, input=given, catch_exceptions=False)

    def do(self, work: Callable[[App], Awaitable[T]]) -> T:
        """Do something with the application that no command does."""

        async def session() -> T:
            async with opened(self.settings, lambda: None) as app:
                return await work(app)

        return asyncio.run(session())

    def submit(self) -> LeadView:
        """Take a submission in."""

        async def work(app: App) -> LeadView:
            async with app.files.receive() as upload:
                await upload.write(pdf())
                receipt, _ = await app.intake.submit(Form("Ada", "Lovelace", "ada@example.org", "cv.pdf"), upload)
            return await app.database.read(app.firm_id, lambda tx: tx.leads.view(receipt.id))

        return self.do(work)

    def fail(self, purpose: Purpose) -> str:
        """Give up the one mail of a purpose that is due; returns its id."""

        async def work(app: App) -> str:
            [letter] = [one for one in await app.dispatch.claim(10) if one.purpose is purpose]
            why = "550\x1b[2J no\tsuch"
            await app.database.write(app.firm_id, lambda tx: tx.outbox.fail(letter.delivery_id, letter.token, why))
            return str(letter.delivery_id)

        return self.do(work)

    def sql(self, statement: str) -> None:
        """Change the database behind everybody's back."""
        with closing(sqlite3.connect(self.settings.database_path)) as connection, connection:
            connection.execute(statement)


def refusal(result: Result) -> str:
    """The one line that a command failed with."""
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("Error: ").removesuffix("\n")
