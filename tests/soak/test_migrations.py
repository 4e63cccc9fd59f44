"""Migrations are killed at random points, on either database, from each schema that somebody may come from."""

import asyncio
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command as alembic
from alembic.config import Config
from alembic.script import ScriptDirectory
from tests.integration.test_backup_under_load import command, outcome
from tests.machine import Machine
from tests.past import SECRET, lived
from tests.postgres import Postgres
from tests.soak.ledger import Row, Scale
from tests.soak.setups import LAUNCH

from leadintake.adapters.sql import copying, migrate, tables
from leadintake.adapters.sql.postgres import opened
from leadintake.adapters.sql.sqlite_connections import engine

NOTHING = "nothing"
SCHEMAS = [NOTHING, *reversed([one.revision for one in ScriptDirectory(str(migrate.folder())).walk_revisions()])]
"""Oldest first."""

COPIES = 100
"""Of each lead, so that a migration takes long enough to be struck in the middle of a statement."""

TIME = re.compile(r"\b\d{16}\b")
LONGEST_PAUSE = 0.02
IN_USE = "Error: Another leadintake serves "


@dataclass(frozen=True)
class Place:
    """A database to migrate. `contents` tells all that is in it, and `schema` what it is made of."""

    environ: dict[str, str]
    contents: Callable[[], list[str]]
    schema: Callable[[], list[str]]


Places = Callable[[str], Place]
"""Makes a database of a schema, with all the data of a practice but where there is nothing yet."""


@pytest.fixture
def past(tmp_path: Path) -> Machine:
    """A practice on SQLite with something of everything, and many leads."""
    machine = lived(Machine(tmp_path / "past")).machine
    changed = {"id": "randomblob(16)", "reference": "reference || n", "resume_path": "n || resume_path"}
    columns = [changed.get(name, name) for name in tables.leads.c.keys()]  # noqa: SIM118 - not a dictionary
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {COPIES})"
    machine.sql(f"{numbers} INSERT INTO leads SELECT {', '.join(columns)} FROM leads, numbers")
    return machine


@pytest.fixture
def sqlite(tmp_path: Path, past: Machine) -> Places:
    """Databases that are files."""
    numbers = count()

    def place(schema: str) -> Place:
        data_dir = tmp_path / f"place-{next(numbers)}"
        path = data_dir / "leadintake.db"
        if schema != NOTHING:
            data_dir.mkdir(mode=0o700)
            old = tmp_path / f"{schema}.db"
            if not old.exists():
                shutil.copyfile(past.settings.database_path, old)
                with engine(old, "BEGIN").connect() as connection:
                    set_back(connection, schema)
            shutil.copyfile(old, path)

        def read(statement: str) -> list[str]:
            with closing(sqlite3.connect(path)) as connection:
                return [sql for (sql,) in connection.execute(statement)]

        def contents() -> list[str]:
            with closing(sqlite3.connect(path)) as connection:
                return [TIME.sub("then", line) for line in connection.iterdump()]

        statement = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY sql"
        return Place({"LEADINTAKE_DATA_DIR": str(data_dir)}, contents, lambda: read(statement))

    return place


@pytest.fixture
def postgres(tmp_path: Path, server: Postgres, past: Machine) -> Places:
    """Databases of a PostgreSQL server."""
    numbers, made = count(), set[str]()

    def make(name: str, like: str = "template1") -> str:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        made.add(name)
        return name

    async def copied(url: str) -> None:
        async with opened(url) as connection:
            await connection.run_sync(migrate.upgrade)
        await copying.copy(past.settings.database_path, url, lambda *_: None)

    async def setting_back(url: str, to: str) -> None:
        async with opened(url) as connection:
            await connection.run_sync(set_back, to)

    asyncio.run(copied(server.url(make("past"))))

    def place(schema: str) -> Place:
        old = f"old_{schema}"
        if schema != NOTHING and old not in made:
            asyncio.run(setting_back(server.url(make(old, "past")), schema))
        name = make(f"place_{next(numbers)}", "template1" if schema == NOTHING else old)
        environ = {
            "DATABASE_URL": server.url(name),
            "LEADINTAKE_DATA_DIR": str(tmp_path / "data"),
            "LEADINTAKE_SECRET_KEY": SECRET,
        }
        return Place(
            environ,
            lambda: [TIME.sub("then", line) for line in server.dump(name)],
            lambda: server.dump(name, "--schema-only"),
        )

    return place


@pytest.fixture(params=["sqlite", "postgres"])
def make(request: pytest.FixtureRequest) -> Places:
    """Databases of either kind."""
    found: Places = request.getfixturevalue(request.param)
    return found


def set_back(connection: sa.Connection, to: str) -> None:
    """Make of a database one as an earlier version had it."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(migrate.folder()))
    alembic.downgrade(config, to)


@pytest.mark.promises("P22")
def test_migrations_are_killed(
    make: Places, row: Row, scale: Scale, chance: random.Random, progress: Callable[[float, float], None]
) -> None:
    """Kill -9 of a migration, and of one of two at once; it is repeated: the schema of a new database, and all rows."""
    new = make(NOTHING)
    migrated(new)
    problems: list[str] = []
    for number, schema in enumerate(SCHEMAS[:-1]):
        undisturbed = make(schema)
        steps = migrated(undisturbed)
        expected = Counter(undisturbed.contents())
        rows = sum(is_row(line) for line in expected.elements())
        if undisturbed.schema() != new.schema():
            problems.append(f"from {schema}: another schema than a new database has")
        struck = 0
        for trial in range(scale.migrations):
            progress(number * scale.migrations + trial, (len(SCHEMAS) - 1) * scale.migrations)
            place = make(schema)
            other = command(place.environ, "migrate") if (number + trial) % 2 else None
            struck += strike(place, chance.randint(1, steps), chance.uniform(0, LONGEST_PAUSE))
            ends = [outcome(one) for one in (other, command(place.environ, "migrate")) if one]
            problems += [f"from {schema}: {end}" for end in ends[:-1] if end[0] and not end[2].startswith(IN_USE)]
            problems += [f"from {schema}, repeated: {end}" for end in ends[-1:] if end[0]]
            found = Counter(place.contents())
            row.lost += sum(is_row(line) for line in (expected - found).elements())
            row.duplicates += sum(is_row(line) for line in (found - expected).elements())
            if found != expected:
                problems.append(f"from {schema}: {[*(expected - found)][:3]} became {[*(found - expected)][:3]}")
        row.trials += scale.migrations
        row.faults += struck
        row.acknowledged += rows * scale.migrations
        row.note(f"from {schema}: {steps} statements and commits, {rows:,} rows, killed {struck} times at work")

    assert not problems, problems[:5]
    assert row.lost == row.duplicates == 0
    assert row.faults > 0, "no kill struck a migration at work"


def is_row(line: str) -> bool:
    """Whether a line of a dump is a row of ours."""
    return line.startswith("INSERT")


def migrated(place: Place) -> int:
    """Migrate, undisturbed; returns how many statements and commits that takes."""
    with stepped(place) as process:
        steps = 0
        while step(process):
            steps += 1
        assert process.wait() == 0
    return steps


def strike(place: Place, at: int, pause: float) -> bool:
    """Migrate, and kill that so many seconds after a statement has begun; returns whether it was still at work."""
    with stepped(place) as process:
        if all(step(process) for _ in range(at)):
            time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


def stepped(place: Place) -> "subprocess.Popen[str]":
    """A migration that waits before each statement."""
    program = (sys.executable, str(LAUNCH))
    return command({**place.environ, "STEPPED": "yes"}, "migrate", program=program, stdin=subprocess.PIPE)


def step(process: "subprocess.Popen[str]") -> bool:
    """Let a migration run its next statement; False when there is none."""
    assert process.stdin
    assert process.stderr
    if process.stderr.read(1) != ".":
        return False
    process.stdin.write(".")
    process.stdin.flush()
    return True
