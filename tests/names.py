"""Real names of every script."""

import importlib
import pkgutil
from functools import cache
from itertools import islice

from faker.providers import person

FROM_EACH = 8


@cache
def real_names() -> tuple[str, ...]:
    """Some first and last names of every locale that Faker knows."""
    found: list[str] = []
    for module in pkgutil.iter_modules(person.__path__):
        provider = vars(importlib.import_module(f"{person.__name__}.{module.name}").Provider)
        for names in ("first_names", "last_names"):
            if not isinstance(provider.get(names, ()), property):
                found += islice(provider.get(names, ()), FROM_EACH)
    return tuple(found)
