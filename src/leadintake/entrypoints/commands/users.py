"""`leadintake users`: who may sign in."""

from datetime import timedelta

import click

from leadintake.application.app import App
from leadintake.application.staff import Update
from leadintake.domain.people import FIRST_PASSWORD_LIFETIME, Operator, Role
from leadintake.entrypoints.commands import output, piped, session

_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Take the password from the first line of standard input."
)


@click.group()
def users() -> None:
    """Manage those who sign in: attorneys, and admins, who may also manage users and erase leads."""


@users.command()
@click.argument("email")
@click.option("--name", required=True, help="The full name, as colleagues see it.")
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), default=Role.ATTORNEY.value, show_default=True
)
@_password_stdin
def add(email: str, name: str, role: str, *, password_stdin: bool) -> None:
    """Add a user; prints a password, once, unless one is given."""
    password = piped.first_line() if password_stdin else None
    user, generated = session.run(lambda app, who: app.staff.add(who, email, name, Role(role), password))
    click.echo(f"Added {user.email}, {user.role}.")
    _show_once(generated)


@users.command(name="list")
def list_() -> None:
    """List all users, the inactive ones too, and until when those sign in who have not changed their first password."""
    found = session.run(lambda app, who: app.staff.everybody(who))
    rows = [
        (
            user.email,
            user.full_name,
            user.role,
            "yes" if user.is_active else "no",
            user.created_at,
            user.password_expires_at,
            user.id,
        )
        for user in found
    ]
    output.table(("email", "name", "role", "active", "created", "password until", "id"), rows)


@users.command()
@click.argument("email")
def deactivate(email: str) -> None:
    """Sign a user out everywhere and for good."""

    async def work(app: App, who: Operator) -> str:
        user = await app.staff.find(who, email)
        return (await app.staff.update(who, user.id, Update(is_active=False))).email

    click.echo(f"Deactivated {session.run(work)}.")


@users.command()
@click.argument("email")
@_password_stdin
def reset_password(email: str, *, password_stdin: bool) -> None:
    """Give a user a new password and end all sessions; prints the password, once, unless one is given."""
    password = piped.first_line() if password_stdin else None

    async def work(app: App, who: Operator) -> tuple[str | None, bool]:
        generated = await app.staff.reset_password(who, email, password)
        return generated, (await app.staff.find(who, email)).is_active

    generated, is_active = session.run(work)
    click.echo(f"The password of {email} is reset, and all sessions are over.")
    if not is_active:
        click.echo(f"{email} is inactive and cannot sign in before an admin activates the user.")
    _show_once(generated)


@users.command()
@click.argument("email")
def end_sessions(email: str) -> None:
    """Sign a user out everywhere; the password stays."""
    ended = session.run(lambda app, who: app.staff.end_sessions(who, email))
    click.echo(f"Ended {ended} session{'' if ended == 1 else 's'} of {email}.")


def _show_once(password: str | None) -> None:
    click.echo(
        f"The password runs out in {FIRST_PASSWORD_LIFETIME // timedelta(hours=1)} hours, unless its owner changes it."
    )
    if password is not None:
        click.echo(f"Password, shown only this once: {password}")
