"""What is piped into a command."""

import sys

from leadintake.domain.errors import Refused


def first_line() -> str:
    """The first line of standard input without its end; raises Refused unless it is UTF-8, whatever the locale is."""
    try:
        return sys.stdin.buffer.readline().decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Refused("Standard input is not UTF-8. Convert it first.") from None
