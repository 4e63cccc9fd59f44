"""Leads and their files compared, and copied, where files cannot be read though nothing is wrong with them."""

import errno
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from tests.fakes import MemoryFiles
from tests.practice import Practice

from leadintake.domain.errors import FileUnavailable, Refused
from leadintake.domain.lead import Resume
from leadintake.entrypoints.bootstrap.engines import Storage
from leadintake.entrypoints.commands.copied_files import copy_files
from leadintake.entrypoints.commands.stored_files import compare

WHY = "cannot be read ([Errno 5] Input/output error)"


@dataclass
class Faulty(MemoryFiles):
    """Files of which some cannot be read, and yet are there."""

    unread: set[str] = field(default_factory=set)

    async def open(self, resume: Resume) -> AsyncIterator[bytes]:
        if resume.path in self.unread:
            raise FileUnavailable from OSError(errno.EIO, "Input/output error")
        return await super().open(resume)


@pytest.fixture
async def storage(practice: Practice) -> Storage:
    """Three leads with their files, the first of which has changed."""
    practice.files = files = Faulty(clock=practice.clock)
    for _ in range(3):
        await practice.submit()
    changed = min(files.kept)
    content, at = files.kept[changed]
    files.kept[changed] = (content.swapcase(), at)
    return Storage(practice.database, files)


async def test_what_cannot_be_read_has_not_changed(storage: Storage) -> None:
    """Each is left out of a copy and told with its reason; whoever is told of damage may erase good files."""
    files, to = storage.files, MemoryFiles()
    assert isinstance(files, Faulty)
    files.unread = {max(files.kept)}
    _, compared = await compare(storage, hashes=True)
    copied, wrong = await copy_files(storage, to, "there", 3)

    assert sorted((one.what, one.is_damaged) for one in wrong) == [(WHY, False), ("has changed", True)]
    assert {(one.lead.id, one.what) for one in compared} == {(one.lead.id, one.what) for one in wrong}
    assert (copied, len(to.kept)) == (1, 1)


async def test_where_nothing_can_be_read_nothing_is_copied(storage: Storage) -> None:
    """The store is to blame, so no backup comes of it that has no files."""
    files = storage.files
    assert isinstance(files, Faulty)
    files.unread = {*files.kept}

    with pytest.raises(Refused, match="Not one file can be read"):
        await copy_files(storage, MemoryFiles(), "there", 3)
