from pathlib import Path

import pytest

from leadintake.entrypoints.settings import BadSetting
from leadintake.entrypoints.settings.environment import load

SECRET = "kW9vX2mQ7pLr4sT8uYzB1cD3eF5gH6jK"
TOKEN = "s3cret-for-metrics"


@pytest.mark.asvs("V13.3.1")
def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    """Each secret is read from the file that ..._FILE names, but for the end of its last line."""
    for name, text in {"secret": SECRET, "token": TOKEN, "url": f"sqlite:///{tmp_path}/a.db"}.items():
        (tmp_path / name).write_text(f"{text}\n")

    settings = load(
        {
            "LEADINTAKE_SECRET_KEY_FILE": str(tmp_path / "secret"),
            "LEADINTAKE_METRICS_TOKEN_FILE": str(tmp_path / "token"),
            "DATABASE_URL_FILE": str(tmp_path / "url"),
        },
        {},
    )

    assert settings.secret_key == SECRET.encode()
    assert settings.metrics_token == TOKEN
    assert settings.database_path == tmp_path / "a.db"


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    """With a value and a file nobody could say which one counts."""
    (tmp_path / "secret").write_text(SECRET)
    twice = {"LEADINTAKE_SECRET_KEY": SECRET, "LEADINTAKE_SECRET_KEY_FILE": str(tmp_path / "secret")}

    with pytest.raises(BadSetting, match=r"^LEADINTAKE_SECRET_KEY and LEADINTAKE_SECRET_KEY_FILE are both set\."):
        load(twice, {})


def test_an_empty_file_is_called_by_its_setting(tmp_path: Path) -> None:
    """What is empty is the file, or its name, and not the secret, which nobody has given."""
    (tmp_path / "secret").touch()

    with pytest.raises(BadSetting, match=r"^LEADINTAKE_SECRET_KEY_FILE is '/.*', which is empty\. Write the value"):
        load({"LEADINTAKE_SECRET_KEY_FILE": str(tmp_path / "secret")}, {})
    with pytest.raises(BadSetting, match=r"^LEADINTAKE_SECRET_KEY_FILE is empty\. Give it a value or remove it\."):
        load({"LEADINTAKE_SECRET_KEY_FILE": ""}, {})


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\xfe" * 40, b"short\n"], ids=["absent", "empty", "bytes", "short"]
)
def test_a_file_without_a_good_secret_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A file that is not there, empty, not text or too short stops the start like a bad value."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(BadSetting, match=r"^LEADINTAKE_SECRET_KEY.*\.$"):
        load({"LEADINTAKE_SECRET_KEY_FILE": str(file)}, {})
