"""The name under which a file is saved, whoever hands it out."""

import re
from urllib.parse import quote

NOT_IN_FALLBACK = re.compile("[^A-Za-z0-9._-]")


def attachment(name: str) -> str:
    """A Content-Disposition that every client can read (RFC 6266 appendix D), whatever the name."""
    return f"attachment; filename=\"{NOT_IN_FALLBACK.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}"
