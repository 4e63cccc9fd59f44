import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadintake.domain.errors import WrongKind
from leadintake.domain.resume import KIB, MIB, Finding, Kind, accept, display_name, rounded_down

USUAL = frozenset({Kind.PDF, Kind.DOC, Kind.DOCX})
EVERY = frozenset(Kind)
WORD = {Kind.DOC, Kind.DOCX, Kind.RTF}
UNITS = {"bytes": 1, "kB": KIB, "MB": MIB}


@pytest.mark.asvs("V5.3.2")
@pytest.mark.attack(72, 73, 76)
@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("cv.pdf", "cv.pdf"),
        ("../../etc/passwd.pdf", "passwd.pdf"),
        (r"..\..\x.pdf", "x.pdf"),
        (r"C:\x\cv.pdf", "cv.pdf"),
        ("/abs.pdf", "abs.pdf"),
        ("a/b\\c.pdf", "c.pdf"),
        ("cv\u202efdp.exe", "cvfdp.exe"),
        ("cv\x00\r\n.pdf", "cv.pdf"),
        ("cv\u200b\u2028.pdf", "cv.pdf"),
        ("bad\udcff.pdf", "bad.pdf"),
        ("e\u200d\u0301.pdf", "\u00e9.pdf"),
        ("  cv.pdf . ", "cv.pdf"),
        ("cv.pdf::$data", "cv.pdf"),
        ("cv.pdf .::$DATA. ", "cv.pdf"),
        ("CON.pdf", "CON.pdf"),
        ("履歴書 \U0001f600.pdf", "履歴書 \U0001f600.pdf"),
        ("$(id) <img onerror>.pdf", "$(id) <img onerror>.pdf"),
        (".pdf", ".pdf"),
        ("", "resume"),
        ("..", "resume"),
        ("cv/", "resume"),
        ("\u202e\u200b", "resume"),
        ("a" * 300 + ".docx", "a" * 145 + ".docx"),
        ("a" * 200, "a" * 150),
        ("a." + "b" * 300, "a." + "b" * 148),
        ("e" * 130 + "x" * 50 + "\u0301" + "b" * 19, "e" * 129 + "é" + "b" * 19),
    ],
)
def test_a_name_is_shown_without_path_or_anything_invisible(raw: str, shown: str) -> None:
    """What a client calls its file is shown as its last component, visible characters only."""
    assert display_name(raw) == shown


@pytest.mark.attack(75)
@given(st.text(max_size=400))
def test_any_name_becomes_one_that_can_be_shown(raw: str) -> None:
    """Whatever the name, what is shown is short, in NFC, visible and no path."""
    name = display_name(raw)

    assert 1 <= len(name) <= 150
    assert unicodedata.is_normalized("NFC", name)
    assert not {unicodedata.category(c) for c in name} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not set(name) & {"/", "\\"}


@pytest.mark.attack(75)
@given(st.text(max_size=400), st.sampled_from(Kind))
def test_a_long_name_keeps_its_extension(stem: str, kind: Kind) -> None:
    """Shortening takes from the stem, and so the shown name is of the same kind as the whole one."""
    assert display_name(f"{stem}.{kind}").endswith(f".{kind}")


@given(st.text("ab.pdf", max_size=200), st.sampled_from(Kind))
def test_what_is_shown_is_accepted_like_the_whole_name(raw: str, kind: Kind) -> None:
    """Shortening a name neither makes nor loses an extension."""
    assert _accepted(raw, kind) == _accepted(display_name(raw), kind)


def _accepted(name: str, kind: Kind) -> bool:
    try:
        accept(name, Finding(kind), EVERY)
    except WrongKind:
        return False
    return True


@pytest.mark.attack(76, 77)
@pytest.mark.parametrize(
    "name",
    [
        "cv.pdf",
        "CV.PDF",
        "cv.php.pdf",
        "cv.docx.pdf",
        ".pdf",
        "cv.pdf.",
        "cv.pdf ",
        "cv.pdf::$DATA",
        "../cv.pdf",
        "-rf.pdf",
    ],
)
def test_the_last_extension_counts(name: str) -> None:
    """An extension is found whatever its case, what comes before it, and what Windows would drop after it."""
    assert accept(name, Finding(Kind.PDF), USUAL) is Kind.PDF


@pytest.mark.asvs("V5.2.2")
@pytest.mark.attack(84, 94)
@given(st.sampled_from(Kind), st.sampled_from(Kind))
def test_a_name_agrees_with_its_content_outside_the_word_family(named: Kind, found: Kind) -> None:
    """DOC, DOCX and RTF may be named after each other, and are taken as what they are; nothing else may."""
    expected = named is found or {named, found} <= WORD

    assert _accepted(f"cv.{named}", found) is expected
    if expected:
        assert accept(f"cv.{named}", Finding(found), EVERY) is found


@given(st.sampled_from(Kind), st.frozensets(st.sampled_from(Kind), min_size=1))
def test_only_allowed_kinds_are_taken(kind: Kind, allowed: frozenset[Kind]) -> None:
    """A file under its own name is accepted when its kind is allowed, and only then."""
    try:
        taken = accept(f"cv.{kind}", Finding(kind), allowed) is kind
    except WrongKind:
        taken = False

    assert taken is (kind in allowed)


@pytest.mark.parametrize(
    ("name", "finding", "detail"),
    [
        (
            "cv.docx",
            Finding(Kind.PDF),
            "The file is named cv.docx but contains a PDF. Rename it or send a PDF, DOC or DOCX file.",
        ),
        (
            "cv.exe",
            Finding(Kind.PDF),
            "The file is named cv.exe but contains a PDF. Rename it or send a PDF, DOC or DOCX file.",
        ),
        (
            "cv.docm",
            Finding(None, why="is a macro-enabled Word document"),
            "The file cv.docm is a macro-enabled Word document. Send a PDF, DOC or DOCX file.",
        ),
        (
            "cv.doc",
            Finding(Kind.RTF),
            "The file cv.doc contains an RTF, which is not accepted. Send a PDF, DOC or DOCX file.",
        ),
        (
            "pdf",
            Finding(Kind.PDF),
            "The name of the file, pdf, has no extension. Add .pdf to it or send a PDF, DOC or DOCX file.",
        ),
    ],
)
def test_a_refusal_says_what_to_do(name: str, finding: Finding, detail: str) -> None:
    """A refusal names the file, what is wrong with it and what to send instead."""
    with pytest.raises(WrongKind) as refusal:
        accept(name, finding, USUAL)

    assert refusal.value.detail == detail


def test_one_allowed_kind_reads_well() -> None:
    """A list of one has no "or"."""
    with pytest.raises(WrongKind, match="Send an ODT file"):
        accept("cv.pdf", Finding(Kind.PDF), frozenset({Kind.ODT}))


def test_a_kind_is_its_extension_and_has_a_media_type() -> None:
    """A kind can be written into a file name and sent as a Content-Type."""
    assert f"cv.{Kind.PDF}" == "cv.pdf"
    assert Kind.PDF.media_type == "application/pdf"
    assert all("/" in kind.media_type for kind in Kind)


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "1 bytes"), (999, "999 bytes"), (20_000, "19.5 kB"), (10_485_760, "10 MB"), (10_590_000, "10 MB")],
)
def test_a_limit_is_said_shortly(count: int, said: str) -> None:
    """In its largest unit, and with one digit behind the point where there is something."""
    assert rounded_down(count) == said


@given(st.integers(1, 2**30))
def test_a_limit_promises_nothing_that_is_refused(count: int) -> None:
    """What is said is never more than what is taken, and hardly less."""
    number, unit = rounded_down(count).split()

    assert count * 0.9 <= float(number) * UNITS[unit] <= count
