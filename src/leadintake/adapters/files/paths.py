"""The paths of resumes in a store."""

import re

from leadintake.domain.errors import FileUnavailable

BARE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]*")
"""What a path here looks like: no folder, nothing hidden, nothing to encode."""

LISTED_AT_ONCE = 500


def bare_name(path: str) -> str:
    """The path itself; raises FileUnavailable unless it is a bare name."""
    if not BARE_NAME.fullmatch(path):
        raise FileUnavailable
    return path
