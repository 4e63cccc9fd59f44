"""What holds for every test."""

import gc
import os

from hypothesis import settings

settings.register_profile("leadintake", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("leadintake")


def pytest_configure() -> None:
    """Nothing that is imported or collected is garbage; looking for some would take half of the collection."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Nor does it become any while tests run, whose own garbage is looked for as always."""
    gc.freeze()
    gc.enable()
