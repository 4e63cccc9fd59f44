"""A practice at work: the use cases over a real database, with stand-ins for all else, and a clock to move."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

from tests.fakes import FixedClock, MemoryFiles, PlainPasswords, PlainTokens, RecordingMailer, numbered_ids
from tests.records import FIRST_FIRM

from leadintake.application.accounts import Accounts
from leadintake.application.desk import Desk, Page
from leadintake.application.dispatch import Dispatch, Outcome
from leadintake.application.inbox import Inbox
from leadintake.application.intake import Form, Intake
from leadintake.application.owing import MailRules, Owing
from leadintake.application.ports.database import Database, LeadQuery
from leadintake.application.retention import Retention
from leadintake.application.staff import Staff
from leadintake.application.views import DeliveryView, LeadView, Receipt
from leadintake.domain.delivery import LEASE
from leadintake.domain.errors import FieldError, Invalid
from leadintake.domain.people import Operator, Role, User
from leadintake.domain.resume import Kind
from leadintake.domain.suspicion import Reason

PASSWORD = "correct horse battery"
OPERATOR = Operator(FIRST_FIRM)
SWEEP_AFTER = LEASE
FASTEST_PERSON = timedelta(seconds=3)


def parse_address(raw: str) -> str:
    """An address is what has an @, and nothing of what is around."""
    if "@" not in raw:
        raise Invalid(FieldError("email", "Enter one address."))
    return raw.strip()


@dataclass
class Practice:
    """The use cases, made anew for each call from what they need, so that a test may change any of it."""

    database: Database
    clock: FixedClock = field(default_factory=FixedClock)
    rules: MailRules = field(default_factory=lambda: MailRules("firm.example"))
    mailer: RecordingMailer = field(default_factory=RecordingMailer)
    passwords: PlainPasswords = field(default_factory=PlainPasswords)
    tokens: PlainTokens = field(default_factory=PlainTokens)
    new_id: Callable[[], UUID] = field(default_factory=numbered_ids)
    random: Iterator[int] = field(default_factory=count)
    keep_for: timedelta | None = None
    wakes: int = 0
    told: list[tuple[UUID, tuple[Reason, ...]]] = field(default_factory=list)
    _intake: Intake | None = None

    def __post_init__(self) -> None:
        self.files = MemoryFiles(clock=self.clock)

    @property
    def intake(self) -> Intake:
        """Takes submissions. It is the same until something changes, so that those who wait can share a transaction."""
        intake = Intake(
            firm_id=FIRST_FIRM,
            database=self.database,
            files=self.files,
            kinds=frozenset({Kind.PDF}),
            fastest_person=FASTEST_PERSON,
            owing=self.owing,
            address=parse_address,
            now=self.clock,
            new_id=self.new_id,
            random_bits=self.draw,
            wake=self.wake,
            on_quarantine=self.hear,
        )
        if self._intake != intake:
            self._intake = intake
        return self._intake

    @property
    def owing(self) -> Owing:
        """Makes what is owed."""
        return Owing(self.rules, self.new_id)

    @property
    def inbox(self) -> Inbox:
        """Where leads are found."""
        return Inbox(self.database, self.clock)

    @property
    def desk(self) -> Desk:
        """Where leads are worked on."""
        return Desk(self.database, self.files, self.owing, self.clock, self.wake)

    @property
    def accounts(self) -> Accounts:
        """Signs in and out."""
        return Accounts(FIRST_FIRM, self.database, self.passwords, self.tokens, self.clock, self.new_id)

    @property
    def staff(self) -> Staff:
        """Manages users."""
        return Staff(self.database, self.passwords, parse_address, self.clock, self.new_id, lambda: PASSWORD)

    @property
    def dispatch(self) -> Dispatch:
        """Sends what is owed."""
        return Dispatch(FIRST_FIRM, self.database, self.mailer, self.owing, self.clock, self.new_id, lambda: 0)

    @property
    def retention(self) -> Retention:
        """Clears away."""
        return Retention(
            firm_id=FIRST_FIRM,
            database=self.database,
            files=self.files,
            now=self.clock,
            sweep_after=SWEEP_AFTER,
            keep_for=self.keep_for,
        )

    def draw(self, _bits: int) -> int:
        """What chance says next."""
        return next(self.random)

    def hear(self, lead_id: UUID, reasons: tuple[Reason, ...]) -> None:
        """Hears of what goes to quarantine."""
        self.told.append((lead_id, reasons))

    def wake(self) -> None:
        """Counts how often the worker was called."""
        self.wakes += 1

    async def submit(self, content: bytes = b"%PDF-1.7", key: str | None = None, **form: Any) -> tuple[Receipt, bool]:
        """Submit Ada's enquiry with some fields changed."""
        fields = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@client.example", "file_name": "cv.pdf"}
        async with self.files.receive() as upload:
            await upload.write(content)
            return await self.intake.submit(Form(**{**fields, **form}), upload, key)

    async def user(self, role: Role = Role.ATTORNEY, name: str = "grace") -> User:
        """Add a user."""
        email = f"{name}@firm.example"
        await self.staff.add(OPERATOR, email, name.title(), role, PASSWORD)
        return await self.staff.find(OPERATOR, email)

    async def page(self, user: User, query: LeadQuery) -> Page:
        """A page of the list as it is."""
        return await self.desk.page(user, query, lambda page: page)

    async def leads(self) -> list[LeadView]:
        """All leads there are, the oldest first."""
        query = LeadQuery(limit=1000, oldest_first=True)
        return await self.database.read(FIRST_FIRM, lambda tx: tx.leads.page(query))

    async def deliveries(self, lead_id: UUID) -> list[DeliveryView]:
        """All that is owed for a lead."""
        return await self.database.read(FIRST_FIRM, lambda tx: tx.deliveries.of_lead(lead_id))

    async def send_due(self) -> list[Outcome]:
        """Send all that is due now, as the worker does."""
        return [await self.dispatch.deliver(letter) for letter in await self.dispatch.claim(100)]
