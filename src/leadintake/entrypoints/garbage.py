"""What the garbage collector does in a process that stays."""

import gc

NEW_OBJECTS = 20_000
"""After so many more than were freed it looks for cycles among them; by default, after 700. A submission leaves hardly
any, and looking took a fifteenth of its processor time (eight rounds in turns, 16 clients).
"""

YOUNGER_COLLECTIONS = 20
"""So many make one that looks at older objects, too."""


def settle() -> None:
    """Freeze what was made so far, so that neither a collection nor the end of the process goes through it again."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, YOUNGER_COLLECTIONS, YOUNGER_COLLECTIONS)
