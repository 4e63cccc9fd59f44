"""Staff: the users of a firm, managed by its admins or from the command line."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from leadintake.application.password_rules import check_password_rules
from leadintake.application.ports import Clock
from leadintake.application.ports.database import Database, Transaction
from leadintake.application.ports.security import Passwords
from leadintake.application.views import UserView
from leadintake.domain import values
from leadintake.domain.errors import Invalid, LastAdmin, NotFound, parsed
from leadintake.domain.people import FIRST_PASSWORD_LIFETIME, Permission, Principal, Role, User


@dataclass(frozen=True, slots=True)
class Update:
    """What to change of a user; None leaves it."""

    full_name: str | None = None
    role: Role | None = None
    is_active: bool | None = None


@dataclass(frozen=True, slots=True)
class Staff:
    """Every verb needs the permission to manage users. A password that is set here runs out unless it is changed."""

    database: Database
    passwords: Passwords
    address: Callable[[str], str]
    now: Clock
    new_id: Callable[[], UUID]
    generate_password: Callable[[], str]

    async def everybody(self, who: Principal) -> list[UserView]:
        """All users of the firm."""
        who.require(Permission.MANAGE_USERS)
        users = await self.database.read(who.firm_id, lambda tx: tx.people.everybody())
        return [view(user) for user in users]

    async def add(
        self, who: Principal, email: str, full_name: str, role: Role, password: str | None = None
    ) -> tuple[UserView, str | None]:
        """Add a user; returns the password too where none was given and one was made. Raises Invalid or EmailTaken."""
        who.require(Permission.MANAGE_USERS)
        chosen = self.generate_password() if password is None else password
        now = self.now()
        (address, name), wrong = parsed(lambda: self.address(email), lambda: values.name(full_name, "full_name"))
        if wrong:
            raise Invalid(*wrong)
        user = User(
            id=self.new_id(),
            firm_id=who.firm_id,
            email=address,
            full_name=name,
            role=role,
            is_active=True,
            created_at=now,
            password_expires_at=now + FIRST_PASSWORD_LIFETIME,
        )
        if password is not None:
            await check_password_rules(self.passwords, password, user.email, user.full_name)
        password_hash = await self.passwords.hash(chosen)
        await self.database.write(who.firm_id, lambda tx: tx.people.add(user, password_hash))
        return view(user), chosen if password is None else None

    async def update(self, who: Principal, user_id: UUID, update: Update) -> UserView:
        """Change a user; whoever is no longer active is signed out. Raises NotFound, Invalid or LastAdmin."""
        who.require(Permission.MANAGE_USERS)
        full_name = None if update.full_name is None else values.name(update.full_name, "full_name")

        def work(tx: Transaction) -> UserView:
            before = tx.people.get(user_id)
            after = replace(
                before,
                full_name=before.full_name if full_name is None else full_name,
                role=before.role if update.role is None else update.role,
                is_active=before.is_active if update.is_active is None else update.is_active,
            )
            tx.people.save(after)
            if not tx.people.active_admins():
                raise LastAdmin
            if not after.is_active:
                tx.people.end_sessions(user_id)
            return view(after)

        return await self.database.write(who.firm_id, work)

    async def reset_password(self, who: Principal, email: str, password: str | None = None) -> str | None:
        """Set a password and sign the user out; returns the password where one was made. Raises NotFound or Invalid."""
        user = await self.find(who, email)
        if password is None:
            return (await self.renew_password(who, user.id))[1]
        await check_password_rules(self.passwords, password, user.email, user.full_name)
        await self._set_password(who, user.id, password)
        return None

    async def renew_password(self, who: Principal, user_id: UUID) -> tuple[UserView, str]:
        """Set a password that is made, sign the user out, and return both; raises NotFound."""
        who.require(Permission.MANAGE_USERS)
        password = self.generate_password()
        return view(await self._set_password(who, user_id, password)), password

    async def end_sessions(self, who: Principal, email: str) -> int:
        """Sign a user out everywhere; returns how many sessions ended. Raises NotFound."""
        user = await self.find(who, email)
        return await self.database.write(who.firm_id, lambda tx: tx.people.end_sessions(user.id))

    async def find(self, who: Principal, email: str) -> User:
        """The user with this address, whatever its case; raises NotFound."""
        who.require(Permission.MANAGE_USERS)
        found = await self.database.read(who.firm_id, lambda tx: tx.people.with_password(email))
        if found is None:
            raise NotFound(f"There is no user {email}.")
        return found[0]

    async def _set_password(self, who: Principal, user_id: UUID, password: str) -> User:
        password_hash = await self.passwords.hash(password)
        expires_at = self.now() + FIRST_PASSWORD_LIFETIME

        def work(tx: Transaction) -> User:
            user = tx.people.get(user_id)
            tx.people.set_password(user_id, password_hash, expires_at)
            tx.people.end_sessions(user_id)
            return replace(user, password_expires_at=expires_at)

        return await self.database.write(who.firm_id, work)


def view(user: User) -> UserView:
    """A user as shown."""
    return UserView(
        id=user.id,
        email=user.email,
        full_name=user.full_name,
        role=user.role,
        is_active=user.is_active,
        created_at=user.created_at,
        password_expires_at=user.password_expires_at,
    )
