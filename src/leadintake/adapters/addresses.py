"""Which text is an e-mail address, as email-validator sees it, without asking the network."""

from textwrap import shorten

from email_validator import EmailNotValidError, validate_email

from leadintake.domain.errors import FieldError, Invalid
from leadintake.domain.values import ADDRESS_MAX_CHARACTERS

WHAT_TO_DO = "Enter one address such as name@example.com."
REASON_MAX_CHARACTERS = 160
"""The library names every character it does not like."""


def parse_address(raw: str) -> str:
    """Return one plain address in normal form, spaces around it cut off; raise Invalid, saying what to do.

    Case and plus tag stay. Quoted names, literals, display names and special-use domains (RFC 6761) are refused, and
    what could be read as an encoded word in a header (RFC 2047). The length is looked at before the library takes more
    than linear time; the library counts octets (RFC 5321 4.5.3.1).
    """
    address = raw.strip(" ")
    if len(address) > ADDRESS_MAX_CHARACTERS:
        raise Invalid(FieldError("email", f"Use at most {ADDRESS_MAX_CHARACTERS} characters. {WHAT_TO_DO}"))
    if "=?" in address:
        raise Invalid(FieldError("email", WHAT_TO_DO))
    try:
        return validate_email(address, strict=True, check_deliverability=False).normalized
    except EmailNotValidError as error:
        reason = shorten(str(error), REASON_MAX_CHARACTERS, placeholder=" ...")
        raise Invalid(FieldError("email", f"{reason} {WHAT_TO_DO}")) from error
    except Exception as error:  # whatever the library stumbles over is no address
        raise Invalid(FieldError("email", WHAT_TO_DO)) from error
