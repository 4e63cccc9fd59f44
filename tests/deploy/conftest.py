"""Who signs the certificates of nginx."""

import pytest
import trustme


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """An authority that nobody else knows."""
    return trustme.CA()
