# ruff: noqa: RUF001 - names of every script are what is tested

import unicodedata
from uuid import RFC_4122

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.names import real_names

from leadintake.domain import values
from leadintake.domain.errors import Invalid, Malformed


def refusal(name: str) -> str:
    """What is said about a name."""
    with pytest.raises(Invalid) as refused:
        values.name(name, "first_name")
    [error] = refused.value.errors
    assert error.field == "first_name"
    return error.message


@pytest.mark.attack(50)
def test_names_of_every_script() -> None:
    """Real names are taken as they are."""
    names = real_names()

    assert len(names) > 1000
    assert [values.name(name, "first_name") for name in names] == [
        unicodedata.normalize("NFC", name).strip() for name in names
    ]


@pytest.mark.attack(49)
@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Ada\u3000", "Ada"),
        ("\xa0Ada\xa0", "Ada"),
        ("Zoe\u0308", "Zoë"),
        ("O'Brien", "O'Brien"),
        ("King, Jr.", "King, Jr."),
        ("Null", "Null"),
        ("Ng", "Ng"),
        ("𠮷野家", "𠮷野家"),
        ("عبد الله", "عبد الله"),
        ("\u202eada\u202c", "ada"),  # direction overrides
        ("\ufeffAda\u200b", "Ada"),  # byte order mark, zero-width space
        ("Ada\U000e0041\U000e007f", "Ada"),  # tag characters
        ("علی\u200cرضا", "علی\u200cرضا"),  # a non-joiner spells the name
        ("ශ්\u200dරී", "ශ්\u200dරී"),  # as does a joiner
        ("{{7*7}}", "{{7*7}}"),
    ],
)
def test_what_is_kept_of_a_name(typed: str, kept: str) -> None:
    """Space around is cut off, what shows nothing is left out, and what spells the name stays."""
    assert values.name(typed, "first_name") == kept


@pytest.mark.asvs("V1.1.1")
@pytest.mark.attack(51)
@given(st.text(st.characters() | st.sampled_from("e\u0301\u200b\u200d\xad \u1100\u1161"), max_size=12))
@example("A\u200b\u0300")
@example("\u1100\u200b\u1161")
def test_names_are_settled(typed: str) -> None:
    """A name that was taken is NFC, trimmed, storable, and would be taken again as it is."""
    try:
        name = values.name(typed, "first_name")
    except Invalid:
        return

    assert unicodedata.is_normalized("NFC", name)
    assert name == name.strip() == values.name(name, "first_name")
    assert 1 <= len(name) <= 100
    assert not {unicodedata.category(c) for c in name} & {"Cc", "Cs", "Co", "Zl", "Zp"}


@pytest.mark.attack(38)
@pytest.mark.parametrize(
    "typed",
    ["", " ", "\xa0", "\u3000", "\u200b", "\u200d", "\u2800", "\u3164", "\u115f\u1160", "\uffa0", "\u0301", "\u202e "],
)
def test_names_that_show_nothing(typed: str) -> None:
    """A name must show something."""
    assert refusal(typed) == "Fill in this field."


@pytest.mark.asvs("V1.3.3")
@pytest.mark.attack(44, 45)
@pytest.mark.parametrize("character", ["\0", "\t", "\r", "\n", "\x1b", "\x7f", "\x9f", "\u2028", "\u2029", "\ud800"])
def test_control_characters(character: str) -> None:
    """No name contains a control character, a line separator or half a character."""
    assert "control characters" in refusal(f"Ada{character}Lovelace")


@pytest.mark.attack(49)
@pytest.mark.parametrize("character", ["\ue000", "\U0010fffd", "\uffff", "\U0001ffff", "\U0010ffff"])
def test_characters_without_meaning(character: str) -> None:
    """Nor private or unassigned ones."""
    assert refusal(f"Ada{character}")


@pytest.mark.asvs("V1.3.3")
@pytest.mark.attack(46, 48)
def test_length_counts_code_points() -> None:
    """A hundred emoji fit, and so do a hundred letters typed as two hundred code points; one more does not."""
    assert values.name("😀" * 100, "first_name") == "😀" * 100
    assert values.name("e\u0301" * 100, "first_name") == "é" * 100
    assert values.name(f"{' ' * 1000}{'x' * 100}\u200b", "first_name") == "x" * 100
    assert "at most 100 characters" in refusal("😀" * 101)
    assert "at most 100 characters" in refusal("x" + "\u0301" * 1000)


@pytest.mark.asvs("V1.3.12")
@pytest.mark.attack(48)
def test_scribbles_take_no_time() -> None:
    """Marks out of order, which to sort would take a minute, are refused at once."""
    assert "at most 100 characters" in refusal("x" + "\u0315\u0300" * 100_000)


@pytest.mark.attack(69)
@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("ada@example.org", "ada@example.org"),
        ("Ada@EXAMPLE.org", "ada@example.org"),
        ("ada+law@example.org", "ada@example.org"),
        ("ada+a+b@example.org", "ada@example.org"),
        ("ada@plus+example.org", "ada@plus+example.org"),
        ("a.da@example.org", "a.da@example.org"),
        ("+ada@example.org", "+ada@example.org"),
        ("A.d.a+law@Gmail.com", "ada@gmail.com"),
        ("ada@googlemail.com", "ada@gmail.com"),
        ("a.da+@mail.googlemail.com", "a.da@mail.googlemail.com"),
        ("...@gmail.com", "...@gmail.com"),
    ],
)
def test_mailboxes(address: str, mailbox: str) -> None:
    """Case and plus tag lead to the same mailbox, and at Gmail dots do; a name that is nothing but these is a name."""
    assert values.mailbox(address) == mailbox


@pytest.mark.attack(69)
@given(
    st.lists(st.text("abAB12-_", min_size=1), min_size=1),
    st.sampled_from(["", "+", "+a.b", "+1+2"]),
    st.sampled_from(["gmail.com", "googlemail.com", "GoogleMail.com"]),
)
def test_a_mailbox_at_gmail_has_many_spellings(parts: list[str], tag: str, domain: str) -> None:
    """Dots between the parts of its name, a tag, and either domain lead to one mailbox, which is its own mailbox."""
    mailbox = values.mailbox(f"{'.'.join(parts)}{tag}@{domain}")

    assert mailbox == f"{''.join(parts).casefold()}@gmail.com" == values.mailbox(mailbox)


@given(st.integers(min_value=0, max_value=2**values.REFERENCE_BITS - 1))
@example(0)
@example(2**values.REFERENCE_BITS - 1)
def test_references_can_be_read_out(number: int) -> None:
    """Eight characters of Crockford's alphabet, which has no I, L, O and U; each number has its own."""
    spelled = values.reference(number)

    assert spelled.startswith("LD-")
    assert len(spelled) == 11
    assert not set(spelled[3:]) & set("ILOU")
    assert sum(values.CROCKFORD.index(c) << 5 * place for place, c in enumerate(reversed(spelled[3:]))) == number


@given(st.integers(0, 2**values.REFERENCE_BITS - 1), st.sampled_from(["LD-", "LD", "ld ", ""]), st.integers(0, 8))
def test_references_are_understood_by_ear(number: int, prefix: str, pause: int) -> None:
    """With a letter for each digit that looks like it, in any case, wherever somebody pauses, with or without LD."""
    reference = values.reference(number)
    code = reference[3:].translate(str.maketrans("01", "OI"))
    spoken = f" {prefix}{code[:pause]} {code[pause:]} ".lower()

    assert values.meant_reference(spoken) == values.meant_reference(reference) == reference
    assert values.meant_reference(spoken.replace("i", "l")) == reference


@pytest.mark.parametrize("text", ["", "ada", "LD-7E3X3MT", "LD-7E3X3MTTT", "XX-7E3X3MTT", "LD-7E3X3MTU", "LD-7E3X3MTé"])
def test_what_is_no_reference(text: str) -> None:
    """Too short, too long, or with what no reference has."""
    assert values.meant_reference(text) is None


def test_reference_known() -> None:
    """References are spelled the same for ever, because people have written them down."""
    assert values.reference(0) == "LD-00000000"
    assert values.reference(0x3B87D1D35A) == "LD-7E3X3MTT"


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_ids_of_a_moment(milliseconds: int, random_bits: int) -> None:
    """Ids are UUIDs of version 7 that lose nothing of what they are made from, and sort by time."""
    made = values.uuid7(milliseconds, random_bits)

    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == milliseconds
    assert (made.int >> 64 & 0xFFF) << 62 | made.int & (1 << 62) - 1 == random_bits


@pytest.mark.parametrize("key", ["a", "~!", "x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"'])
def test_idempotency_keys(key: str) -> None:
    """A key is any visible ASCII."""
    assert values.idempotency_key(key) == key


@pytest.mark.attack(148)
@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "a\tb", "\0", "\x7f", "é", "\ud800"])
def test_keys_that_are_none(key: str) -> None:
    """Empty, too long, or with anything else: no key."""
    with pytest.raises(Malformed, match="1 to 255 visible ASCII"):
        values.idempotency_key(key)
