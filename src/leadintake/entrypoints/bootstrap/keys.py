"""Secret keys: the one that signs, and those that are still accepted while it is replaced."""

from leadintake.adapters.security.keys import load_or_make_secret, load_secret
from leadintake.entrypoints.settings import BadSetting, Settings

KEPT = "secret.key"
STILL_ACCEPTED = "secret.key.accepted"
"""Files in the data folder."""


def secret_keys(settings: Settings) -> list[bytes]:
    """The key that signs, then those that are accepted beside it; raises BadSetting or OSError."""
    still_accepted = settings.data_dir / STILL_ACCEPTED
    try:
        signing = settings.secret_key or load_or_make_secret(settings.data_dir / KEPT)
        in_folder = load_secret(still_accepted) if still_accepted.exists() else None
    except ValueError as error:
        raise BadSetting(str(error)) from error
    return [signing, *filter(None, (settings.secret_key_accepted, in_folder))]


def is_being_replaced(settings: Settings) -> bool:
    """Whether any key is accepted that does not sign."""
    return settings.secret_key_accepted is not None or (settings.data_dir / STILL_ACCEPTED).exists()
