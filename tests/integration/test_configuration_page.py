from pathlib import Path

from leadintake.entrypoints.settings import SETTINGS, Setting, name_of

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def row(attribute: str, setting: Setting) -> str:
    """A setting as the page shows it."""
    default = f"`{setting.default}`" if isinstance(setting.default, str) and setting.default else setting.otherwise
    also = " (or `_FILE`)" if setting.is_secret else ""
    return f"| `{name_of(attribute)}`{also} | {default} | {setting.doc} |"


def test_the_page_has_every_setting_as_the_service_reads_it() -> None:
    """The table of docs/configuration.md is that of the code, line by line and in its order."""
    shown = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]

    assert shown == [row(attribute, setting) for attribute, setting in SETTINGS.items()]
