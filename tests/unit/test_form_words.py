from leadintake.entrypoints.environment import load
from leadintake.entrypoints.web.form_words import resume_words


def test_the_form_names_what_the_settings_take() -> None:
    """In the order of the kinds, for people and for the dialog of the browser."""
    words = resume_words(load({"LEADINTAKE_RESUME_TYPES": "rtf,pdf"}, {}))

    assert words.accept == ".pdf,.rtf"
    assert words.hint == "PDF or RTF, at most 10\N{NO-BREAK SPACE}MB."
    assert "PDF or RTF" in words.wrong_kind
