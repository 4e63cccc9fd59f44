"""One transaction of one firm, whatever the database."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from leadintake.adapters.sql.deliveries import SqlDeliveries
from leadintake.adapters.sql.events import SqlEvents
from leadintake.adapters.sql.leads import SqlLeads
from leadintake.adapters.sql.outbox import SqlOutbox
from leadintake.adapters.sql.people import SqlPeople
from leadintake.adapters.sql.submissions import SqlSubmissions
from leadintake.adapters.sql.tables import firms
from leadintake.application.ports import Clock


class SqlTransaction:
    """All that a firm stores, seen through one connection.

    With `locks`, what is loaded to be changed is locked until the transaction ends. SQLite knows no such locks: there,
    one transaction writes at a time. `clock` is this machine's, for a database that others share.
    """

    def __init__(
        self, connection: sa.Connection, firm_id: UUID, *, locks: bool = False, clock: Clock | None = None
    ) -> None:
        self.connection = connection
        self.leads = SqlLeads(connection, firm_id, locks=locks)
        self.events = SqlEvents(connection, firm_id)
        self.outbox = SqlOutbox(connection, firm_id, locks=locks, clock=clock)
        self.deliveries = SqlDeliveries(connection, firm_id, locks=locks)
        self.submissions = SqlSubmissions(connection, firm_id)
        self.people = SqlPeople(connection, firm_id, locks=locks)

    def database_created_at(self) -> datetime:
        """When the database was made, for whatever firm; a copy or a restored one is as old as what it came from."""
        created_at: datetime = self.connection.execute(sa.select(sa.func.min(firms.c.created_at))).scalar_one()
        return created_at
