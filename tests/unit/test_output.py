"""What commands print for other programs."""

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadintake.entrypoints.commands import output
from leadintake.entrypoints.commands.output import FORMULA, csv_lines

ID = "01a22ea9-72ea-7c17-83fd-485afa51791d"
FORMULAS = [
    "=1+1", '=HYPERLINK("http://evil.example")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\0=1", "=cmd|' /C calc'!A0",
    "\uff1d1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)",
]  # fmt: skip


def read(text: str) -> list[list[str]]:
    """The cells of a CSV file, as any reader has them."""
    return [*csv.reader(StringIO(text, newline=""))]


def test_what_is_copied_stays_in_one_piece(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An id can be copied from a narrow terminal, for the command that asks for it."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    output.table(("last error", "id"), [("The mail server refused the recipient " * 3, ID)])

    assert ID in capsys.readouterr().out


@pytest.mark.asvs("V1.2.10")
@pytest.mark.attack(54)
@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas(formula: str) -> None:
    """A spreadsheet shows what would be reckoned with as text."""
    assert csv_lines([[formula]]).lstrip('"').startswith(f"'{formula[0]}")


@pytest.mark.asvs("V1.2.10")
@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2)))
def test_any_text_is_read_back(rows: list[list[str]]) -> None:
    """Quotes, commas and line breaks are no trouble."""
    expected = [[f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row] for row in rows]

    assert read(csv_lines(rows)) == expected
