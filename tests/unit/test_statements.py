import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Dialect, make_url

from leadintake.adapters.sql.hot import _insertion
from leadintake.adapters.sql.tables import deliveries, events, lead_words, leads

DIALECTS = [make_url(url).get_dialect()() for url in ("sqlite://", "postgresql+asyncpg://")]


@pytest.mark.parametrize("count", [1, 2, 64])
@pytest.mark.parametrize("table", [leads, lead_words, events, deliveries], ids=lambda table: table.name)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_many_rows_are_inserted_by_the_statement_that_sqlalchemy_would_write(
    dialect: Dialect, table: sa.Table, count: int
) -> None:
    """It is written from the one for a single row, and is the same, with what it returns or without."""
    names = tuple(column.name for column in table.c)
    for returning in (None, next(iter(table.c))):
        rows = [{c.name: sa.bindparam(f"{c.name}_{row}", type_=c.type) for c in table.c} for row in range(count)]
        meant = sa.insert(table).values(rows)
        meant = meant if returning is None else meant.returning(returning)

        assert _insertion(table, names, count, returning, dialect)[0] == str(meant.compile(dialect=dialect))
