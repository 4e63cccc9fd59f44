import pytest

from leadintake.adapters.addresses import parse_address
from leadintake.domain.errors import Invalid
from leadintake.entrypoints.settings.environment import load
from leadintake.entrypoints.web.form_words import NO_ADDRESS, resume_words


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


def test_script_and_service_say_the_same_of_an_address() -> None:
    """What to do is in the same words, whoever has noticed."""
    with pytest.raises(Invalid) as refusal:
        parse_address("ada@localhost")

    assert refusal.value.errors[0].message.endswith(NO_ADDRESS)
