"""One service for all tests over HTTP of a process; each test makes the leads and users it looks at."""

from collections.abc import Iterator

import httpx
import pytest
from tests.service import Service, running

from leadintake.domain.people import Role


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
