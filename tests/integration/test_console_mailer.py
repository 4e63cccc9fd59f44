import asyncio
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from tests.letters import LETTER, letter

from leadintake.adapters.mail.console import ConsoleMailer
from leadintake.adapters.mail.render import Renderer
from leadintake.application.ports.deliveries import Letter
from leadintake.domain.delivery import Purpose
from leadintake.domain.errors import DeliveryFailed

RENDERER = Renderer(firm_name="Our firm", mail_from="office@firm.example", base_url="https://firm.example")
POISON = UUID(int=5)
NAME = f"{LETTER.delivery_id}.1.eml"


def mailer(folder: Path) -> ConsoleMailer:
    """A mailer for a folder."""
    return ConsoleMailer(folder, RENDERER)


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a full disk, writing stops after that many bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_mail_is_a_private_file(tmp_path: Path) -> None:
    """A mail is one finished file, named after delivery and attempt, that only the service's own user can read."""
    folder = tmp_path / "mail"
    await mailer(folder).send(LETTER)
    path = folder / NAME

    assert names(folder) == [NAME]
    assert path.read_bytes() == RENDERER.render(LETTER)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_it_says_where_but_not_to_whom(tmp_path: Path) -> None:
    """The answer that is logged is the path of the file, with no address or name in it."""
    answer = await mailer(tmp_path).send(letter(purpose=Purpose.CONFIRMATION))

    assert answer == str(tmp_path / NAME)


async def test_each_attempt_is_a_file_of_the_same_bytes(tmp_path: Path) -> None:
    """A second attempt stands beside the first, and a repeated one takes its place."""
    for attempt in (1, 2, 2):
        await mailer(tmp_path).send(letter(attempt=attempt))
    messages = [(tmp_path / name).read_bytes() for name in names(tmp_path)]

    assert names(tmp_path) == [NAME, f"{LETTER.delivery_id}.2.eml"]
    assert messages == [RENDERER.render(LETTER)] * 2


async def test_file_is_complete_when_it_appears(tmp_path: Path) -> None:
    """Whoever watches the folder never sees half a mail."""
    console = mailer(tmp_path)
    letters = [letter(delivery_id=UUID(int=n)) for n in range(100)]
    sending = asyncio.gather(*(console.send(each) for each in letters))
    seen: dict[str, bytes] = {}
    while not sending.done():
        seen |= {name: (tmp_path / name).read_bytes() for name in names(tmp_path) if not name.startswith(".")}
        await asyncio.sleep(0)
    await sending

    assert all(content.endswith(b"--\r\n") for content in seen.values())
    assert len(names(tmp_path)) == 100


async def test_full_disk_is_tried_again(tmp_path: Path) -> None:
    """A mail that does not fit is not sent for now, and leaves nothing behind."""
    with files_of_at_most(1000), pytest.raises(DeliveryFailed, match="mail folder") as failure:
        await mailer(tmp_path).send(LETTER)

    assert not failure.value.permanent
    assert not names(tmp_path)


class MailerOnAFailingDisk(ConsoleMailer):
    """Has the kernel sync what it cannot: a descriptor that is good for no more than a name."""

    def _open_folder(self) -> int:
        os.close(super()._open_folder())
        return os.open(self._folder, os.O_PATH)


async def test_what_is_not_durable_is_tried_again(tmp_path: Path) -> None:
    """Mails that cannot be synced were not sent, however well they were written, and leave nothing behind."""
    console = MailerOnAFailingDisk(tmp_path, RENDERER)
    sending = [console.send(letter(delivery_id=UUID(int=n))) for n in range(3)]
    ends = await asyncio.gather(*sending, return_exceptions=True)

    assert all(isinstance(end, DeliveryFailed) and not end.permanent for end in ends)
    assert not names(tmp_path)


class PoisonousRenderer(Renderer):
    """Fails as nothing should, for one letter."""

    def render(self, letter: Letter) -> bytes:
        if letter.delivery_id == POISON:
            raise RuntimeError
        return super().render(letter)


@pytest.mark.parametrize("where", ["rendering", "writing"])
async def test_one_mail_that_fails_takes_no_other_along(tmp_path: Path, where: str) -> None:
    """Of those that are written together, only the one that is poisonous, or whose name is taken, is not sent (P10)."""
    console = mailer(tmp_path)
    if where == "rendering":
        console = ConsoleMailer(
            tmp_path, PoisonousRenderer(firm_name="f", mail_from="a@firm.example", base_url="https://firm.example")
        )
    else:
        (tmp_path / f"{POISON}.1.eml").mkdir()
    sending = [console.send(letter(delivery_id=UUID(int=n))) for n in range(10)]
    ends = await asyncio.gather(*sending, return_exceptions=True)

    assert [n for n, end in enumerate(ends) if isinstance(end, Exception)] == [POISON.int]


async def test_unusable_folder_is_tried_again(tmp_path: Path) -> None:
    """Where the folder should be is a file; where the mail should be is a folder: neither is for good."""
    (tmp_path / "mail").touch()
    (tmp_path / NAME).mkdir()
    for folder in (tmp_path / "mail", tmp_path, tmp_path / "no" / "such"):
        with pytest.raises(DeliveryFailed) as failure:
            await mailer(folder).send(LETTER)

        assert not failure.value.permanent
    assert names(tmp_path) == [NAME, "mail"]


async def test_folder_that_was_tidied_away_is_made_again(tmp_path: Path) -> None:
    """Deleting the mail folder while the service runs stops no mail."""
    folder = tmp_path / "mail"
    console = mailer(folder)
    await console.send(LETTER)
    (folder / NAME).unlink()
    folder.rmdir()
    await console.send(LETTER)

    assert names(folder) == [NAME]
