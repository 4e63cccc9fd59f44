import re

import pytest
from faker import Faker
from hypothesis import given
from hypothesis import strategies as st

from leadintake.domain.greeting import CHARACTERS_MAX, WORDS_MAX, greeting_name

NAMES = [
    "Ada",
    "maria",
    "MARÍA JOSÉ",
    "Maria del Carmen",
    "Jean-Luc",
    "J.-P.",
    "J. R. R.",
    "Klaus-D.",
    "St. John",
    "Mohd. Ali",
    "O'Brien",
    "D\u2019Arcy",
    "'t Hooft",
    "\u02bbAkamu",
    "Mª",
    "Gal·la",
    "Null",
    "Ng",
    "Zoë",
    "Nguyễn",
    "İpek",
    "Łukasz",
    "Σωκράτης",
    "Мария",
    "Կարեն",
    "ნინო",
    "שָׁלוֹם",
    "\u05d2\u05f3\u05d5\u05e8\u05d2\u05f3",
    "عبد الله",
    "گل\u200cرخ",
    "शंकर",
    "के.सी",
    "প্রিয়া",
    "சரஸ்வதி",
    "അനില",
    "อำนาจ",
    "ສົມພອນ",
    "សុខា",
    "ကျော်",
    "བསྟན་འཛིན་",
    "ገብረ ማርያም",
    "佐々木",
    "さくら",
    "マリー",
    "𠮷野家",
    "约翰·史密斯",
    "阿卜杜热合曼",
    "지우",
    "ᏣᎳᎩ",
]

NO_NAMES = [
    "",
    "   ",
    "Your account is locked, visit evil.example",
    "Your account is locked",
    "Your Account Is Locked",
    "call this line",
    "get money now",
    "您的账户已被锁定",
    "请马上打给我们",
    "アカウントがロックされました",
    "계정이 잠겼습니다 확인하세요",
    "บัญชีของคุณถูกล็อคแล้ว",
    "evil.example",
    "t.co",
    "Evil.Co Ltd.",
    "https://evil.example",
    "http",
    "www.",
    "www. Evil",
    "WWW",
    "Http",
    "House.",
    "\uff57\uff57\uff57\uff0eevil",
    "mailto:a",
    "ada@evil",
    "evil/path",
    "Call 5550100",
    "Ada\u0661",
    "Ⅳ",
    "Ann, Bob",
    "Ada!",
    "{{7*7}}",
    "${7*7}",
    "<b>Ada</b>",
    "=?utf-8?q?a=0ABcc=3A_evil=40x.com?=",
    "Ada\r\nBcc: evil",
    "Ada\u202egpj",
    "Ada😀",
    "evil\u3002example",
    "evil\uff0eexample",
    "evil\uff61example",
    "evil\u2024example",
    "evil·example",
    "eva·example",
    "evai·laws",
    "evil\u30fbexample",
    "evil\ua4f8example",
    "\ua4f0\ua4e6\ua4f2\ua4e1\ua4f8\ua4da\ua4f3\ua4df",
    "\u0430pple",
    "p\u0430ypal",
    "Z" + "\u0301" * 7,
    "\u0301Ada",
    "\u3164",
    "A" * 41,
    "Ada-",
    "-Ada",
    "A--B",
]

LOCALES = [
    *(
        "en_US",
        "de_DE",
        "es_ES",
        "fr_FR",
        "it_IT",
        "pt_BR",
        "nl_NL",
        "pl_PL",
        "cs_CZ",
        "hu_HU",
        "ro_RO",
        "tr_TR",
        "sv_SE",
    ),
    *(
        "is_IS",
        "vi_VN",
        "id_ID",
        "zu_ZA",
        "ru_RU",
        "uk_UA",
        "bg_BG",
        "el_GR",
        "hy_AM",
        "ka_GE",
        "he_IL",
        "ar_SA",
        "fa_IR",
    ),
    *(
        "hi_IN",
        "bn_BD",
        "ne_NP",
        "th_TH",
        "zh_CN",
        "zh_TW",
        "ja_JP",
        "ko_KR",
        "az_AZ",
        "fil_PH",
        "yo_NG",
        "en_IN",
        "lt_LT",
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_real_name_is_greeted(name: str) -> None:
    """A name of any script is repeated as it was typed, whichever of the two it is."""
    assert greeting_name(name, "Lovelace") == name
    assert greeting_name("Ada", name) == "Ada"


@pytest.mark.attack(56)
@pytest.mark.parametrize("text", NO_NAMES)
def test_what_is_no_name_is_not_repeated(text: str) -> None:
    """Links, addresses, numbers, sentences, markup and disguises of them get no greeting by name."""
    assert greeting_name(text, "Lovelace") is None


@pytest.mark.parametrize("text", ["visit evil.example", "https://evil.example", "<script>", "a@b", "5550100", ""])
def test_last_name_that_is_none_casts_doubt_on_the_first(text: str) -> None:
    """Nobody whose last name is a link is greeted by the first."""
    assert greeting_name("Ada", text) is None


def test_spaces_are_single() -> None:
    """Spaces of any kind and number between words become one plain space."""
    assert greeting_name("  Maria\u00a0 José\u3000", "García") == "Maria José"


@pytest.mark.parametrize("locale", LOCALES)
def test_names_of_many_countries_are_greeted(locale: str) -> None:
    """Nearly all made-up names of a country are greeted; a few of them have stray punctuation in the source."""
    people = Faker(locale)
    people.seed_instance(1)
    names = [(people.first_name(), people.last_name()) for _ in range(50)]
    greeted = [first for first, last in names if greeting_name(first, last) == " ".join(first.split())]

    assert len(greeted) >= 0.95 * len(names)


texts = st.text(st.one_of(st.characters(), st.sampled_from("aeiouAlL .'-·\u30fb\u200d\u0301名あЖ")), max_size=60)


@pytest.mark.attack(56)
@given(first=texts, last=texts)
def test_what_is_repeated_cannot_be_followed(first: str, last: str) -> None:
    """Whatever was typed, what is repeated is short and holds no link, address, number or domain."""
    name = greeting_name(first, last) or "Ada"

    assert len(name) <= CHARACTERS_MAX
    assert len(name.split()) <= WORDS_MAX
    assert not re.search(r"[\d@:/\\<>&{}%=?#\x00-\x1f\x7f]", name)
    assert not re.search(r"\w\.\w\w", name)


@given(
    before=st.sampled_from([*NAMES, "", "visit "]),
    bait=st.sampled_from(
        ["https://a.example", "www.a.example", "a.example", "a@b.example", "5550100", "://", "a.co/x"]
    ),
    after=st.sampled_from([*NAMES, "", " now"]),
)
def test_bait_in_a_name_is_never_repeated(before: str, bait: str, after: str) -> None:
    """A link, address or number among real names is enough to greet nobody."""
    assert greeting_name(f"{before}{bait}{after}", "Lovelace") is None
    assert greeting_name("Ada", f"{before}{bait}{after}") is None
