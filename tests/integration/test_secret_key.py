from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from leadintake.adapters.security.keys import load_or_make_secret


@pytest.mark.asvs("V11.5.1")
def test_a_secret_is_made_once(tmp_path: Path) -> None:
    """It is random, only this user may read it, and the next start finds the same one."""
    path = tmp_path / "secret.key"
    made = load_or_make_secret(path)

    assert len(made) == 32
    assert load_or_make_secret(path) == made == path.read_bytes()
    assert load_or_make_secret(tmp_path / "other.key") != made
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other.key", "secret.key"]


def test_starts_at_the_same_moment_agree(tmp_path: Path) -> None:
    """Whoever is first makes the secret, and nobody ever reads half of it."""
    with ThreadPoolExecutor(8) as pool:
        secrets = {secret for at in range(8) for secret in pool.map(load_or_make_secret, [tmp_path / f"{at}.key"] * 8)}

    assert len(secrets) == 8
    assert len(list(tmp_path.iterdir())) == 8


@pytest.mark.parametrize("length", [0, 1, 31])
def test_a_short_secret_is_refused(tmp_path: Path, length: int) -> None:
    """One line says which file it is and what to do."""
    path = tmp_path / "secret.key"
    path.write_bytes(b"x" * length)
    path.chmod(0o600)
    with pytest.raises(ValueError, match=rf"\A.*secret\.key has {length} bytes, .* delete it\.\Z"):
        load_or_make_secret(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """One line says how to close it."""
    path = tmp_path / "secret.key"
    path.write_bytes(b"x" * 32)
    path.chmod(mode)
    with pytest.raises(ValueError, match=rf"\A.*mode {mode:o}.*chmod 600 .*secret\.key\Z"):
        load_or_make_secret(path)


def test_a_longer_secret_is_taken_as_it_is(tmp_path: Path) -> None:
    """Somebody may have put a key of their own there."""
    path = tmp_path / "secret.key"
    path.write_bytes(b"x" * 64)
    path.chmod(0o600)

    assert load_or_make_secret(path) == b"x" * 64
