import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadintake.entrypoints.environment import load
from leadintake.entrypoints.web.form_words import KIB, MIB, resume_words, rounded_down

UNITS = {"bytes": 1, "kB": KIB, "MB": MIB}


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "1 bytes"), (999, "999 bytes"), (20_000, "19.5 kB"), (10_485_760, "10 MB"), (10_590_000, "10 MB")],
)
def test_a_limit_is_said_shortly(count: int, said: str) -> None:
    """In its largest unit, and with one digit behind the point where there is something."""
    assert rounded_down(count).replace("\N{NO-BREAK SPACE}", " ") == said


@given(st.integers(1, 2**30))
def test_a_limit_promises_nothing_that_is_refused(count: int) -> None:
    """What is said is never more than what is taken, and hardly less."""
    number, unit = rounded_down(count).split()

    assert count * 0.9 <= float(number) * UNITS[unit] <= count


def test_the_form_names_what_the_settings_take() -> None:
    """In the order of the kinds, for people and for the dialog of the browser."""
    words = resume_words(load({"LEADINTAKE_RESUME_TYPES": "rtf,pdf"}, {}))

    assert words.accept == ".pdf,.rtf"
    assert words.hint == "PDF or RTF, at most 10\N{NO-BREAK SPACE}MB."
    assert "PDF or RTF" in words.wrong_kind
