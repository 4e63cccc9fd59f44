"""The whole application: one bag of use cases, built in one place for production and tests alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from leadintake.application.accounts import Accounts
from leadintake.application.desk import Desk
from leadintake.application.dispatch import Dispatch
from leadintake.application.inbox import Inbox
from leadintake.application.intake import Intake
from leadintake.application.ports.database import Database
from leadintake.application.ports.files import FileStore
from leadintake.application.retention import Retention
from leadintake.application.staff import Staff
from leadintake.domain.people import Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What entrypoints call, for one firm.

    `database` and `files` are for what is no use case: taking a file in, health, and the command line. The first of
    `sealing_keys` seals cursors, tickets of forms, and receipts; what was signed with any of them counts.
    """

    firm_id: UUID
    intake: Intake
    inbox: Inbox
    desk: Desk
    accounts: Accounts
    staff: Staff
    dispatch: Dispatch
    retention: Retention
    database: Database
    files: FileStore
    sealing_keys: Sequence[bytes]

    @property
    def operator(self) -> Operator:
        """Whoever works on the firm's leads and users from the command line."""
        return Operator(self.firm_id)
