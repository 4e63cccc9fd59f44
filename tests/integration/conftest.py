"""Servers for all tests of a process; each test makes the leads, users and files it looks at."""

from collections.abc import Iterator

import httpx
import pytest
from tests import postgres, redis_server
from tests.machine import Machine
from tests.past import Past, lived
from tests.postgres import Postgres
from tests.redis_server import RedisServer
from tests.s3 import S3, shared
from tests.secrecy import leaks
from tests.service import LOG, Service, running

from leadintake.domain.people import Role


@pytest.fixture(scope="session", autouse=True)
def _nothing_private_is_logged() -> Iterator[None]:
    """Search all that the service has logged in this process, when its tests are over."""
    yield

    assert not leaks(LOG.getvalue())


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, without rate limits."""
    with running(tmp_path_factory.mktemp("service") / "data") as service:
        service.add_user("admin@example.org", Role.ADMIN, "Admin Istrator")
        service.add_user("attorney@example.org", Role.ATTORNEY, "Atticus Finch")
        yield service


@pytest.fixture(scope="session")
def anyone(service: Service) -> httpx.Client:
    """Somebody who is not signed in."""
    return service.client()


@pytest.fixture(scope="session")
def admin(service: Service) -> httpx.Client:
    """A signed-in admin."""
    return service.sign_in("admin@example.org")


@pytest.fixture(scope="session")
def attorney(service: Service) -> httpx.Client:
    """A signed-in attorney."""
    return service.sign_in("attorney@example.org")


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """A practice with something of everything, to copy: nobody changes it."""
    return lived(Machine(tmp_path_factory.mktemp("past") / "data"))


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server, in which each test makes the databases that it needs."""
    with postgres.running() as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """The S3 server of the session."""
    with shared(tmp_path_factory) as server:
        yield server


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis server of the test's own."""
    with redis_server.running() as server:
        yield server
