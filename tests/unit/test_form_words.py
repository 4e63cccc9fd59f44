import pytest

from leadintake.entrypoints.environment import load
from leadintake.entrypoints.web.form_words import resume_words


def test_the_form_names_what_the_settings_take() -> None:
    """In the order of the kinds, for people and for the dialog of the browser."""
    words = resume_words(load({"LEADINTAKE_RESUME_TYPES": "rtf,pdf"}, {}))

    assert words.accept == ".pdf,.rtf"
    assert words.hint == "PDF or RTF, at most 10\N{NO-BREAK SPACE}MB."
    assert words.wrong_kind.startswith("The name of the file has to end in .pdf or .rtf. ")


@pytest.mark.parametrize(("kinds", "endings"), [("pdf", ".pdf"), ("pdf,doc,docx", ".pdf, .doc or .docx")])
def test_the_form_names_the_endings(kinds: str, endings: str) -> None:
    """One alone, or the last behind an "or"."""
    words = resume_words(load({"LEADINTAKE_RESUME_TYPES": kinds}, {}))

    assert words.wrong_kind.startswith(f"The name of the file has to end in {endings}. ")
