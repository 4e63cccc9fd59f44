import asyncio
import threading
from collections.abc import AsyncIterator
from time import process_time

import pytest
from argon2 import PasswordHasher, extract_parameters
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from leadintake.adapters.security.passwords import Argon2Passwords

PASSWORD = "correct horse battery staple"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
async def passwords() -> AsyncIterator[Argon2Passwords]:
    """The hasher as it runs in the service."""
    passwords = Argon2Passwords("Bartleby & Partners")
    yield passwords
    await passwords.aclose()


@pytest.mark.asvs("V6.2.5-9", "V11.4.2")
async def test_a_hash_fits_its_password_only(passwords: Argon2Passwords) -> None:
    """Exact to the character, salted anew each time, and at least what OWASP asks for."""
    first, second = await asyncio.gather(passwords.hash(PASSWORD), passwords.hash(PASSWORD))
    parameters = extract_parameters(first)

    assert first != second
    assert first.startswith("$argon2id$")
    assert parameters.memory_cost >= 19 * 1024
    assert parameters.time_cost >= 2
    assert not passwords.is_outdated(first)
    assert await passwords.verify(first, PASSWORD)
    assert not await passwords.verify(second, PASSWORD.upper())


async def test_a_weaker_hash_still_fits_and_is_outdated(passwords: Argon2Passwords) -> None:
    """A password that was hashed with other parameters can be hashed anew when its user signs in."""
    weak = CHEAP.hash("pässwörd 密码")

    assert passwords.is_outdated(weak)
    assert await passwords.verify(weak, "pässwörd 密码")
    assert not await passwords.verify(weak, "passwo\u0308rd 密码")


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "x",
        "$argon2id$",
        "$argon2id$v=19$m=8,t=1,p=1$AA$AA",
        "$2b$12$abcdefghijklmnopqrstuv",
        "é",
        "\0",
        CHEAP.hash("x")[:-9],
    ],
    ids=range(8),
)
async def test_what_is_no_hash_fits_nothing(passwords: Argon2Passwords, stored: str) -> None:
    """A damaged record refuses its user and is no error."""
    assert not await passwords.verify(stored, "x")


@pytest.mark.asvs("V6.2.5-9")
@pytest.mark.attack(119)
@pytest.mark.parametrize("password", ["", "\0", "\ud800", "x" * 2**20], ids=range(4))
async def test_any_password_may_be_tried(passwords: Argon2Passwords, password: str) -> None:
    """Text that cannot be a password fits nobody and is no error."""
    assert not await passwords.verify(None, password)
    assert not await passwords.verify(CHEAP.hash(PASSWORD), password)


@pytest.mark.long
@pytest.mark.asvs("V6.3.8")
@pytest.mark.attack(118)
async def test_nobody_takes_as_long_as_somebody(passwords: Argon2Passwords) -> None:
    """The processor works as long for a user who does not exist as for a wrong password."""
    stored = await passwords.hash(PASSWORD)

    async def cost(password_hash: str | None) -> float:
        start = process_time()
        assert not await passwords.verify(password_hash, "wrong")
        return process_time() - start

    somebody = min([await cost(stored) for _ in range(3)])
    nobody = min([await cost(None) for _ in range(3)])

    assert nobody == pytest.approx(somebody, rel=0.5)


@pytest.mark.asvs("V11.4.2")
@pytest.mark.attack(122)
async def test_hashing_keeps_out_of_the_way(passwords: Argon2Passwords) -> None:
    """However many sign in at once, two threads do the work, and the event loop goes on with its own."""
    before = set(threading.enumerate())
    hashing = asyncio.gather(*(passwords.verify(None, "wrong") for _ in range(4)))
    turns, threads = 0, set[threading.Thread]()
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
        threads |= {thread for thread in threading.enumerate() if thread.name.startswith("passwords")} - before

    assert await hashing == [False] * 4
    assert len(threads) == 2
    assert turns > 100


@pytest.mark.asvs("V6.2.4")
@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "P@ssw0rd1234",
        "qwertyuiop123",
        "1qaz2wsx3edc",
        "aaaaaaaaaaaaaaaa",
        "abcabcabcabc" * 80,
        "123456789012",
        "administrator",
        "iloveyou1234",
        "Welcome12345!",
        "Summer2026!!!",
        "christopher1999",
        "letmeinplease",
        "manchesterunited",
        "leadintake2026",
        "Bartleby-2026",
        "BartlebyPartners!",
        "HermanMelville1",
        "melville.whale",
    ],
)
async def test_easy(passwords: Argon2Passwords, password: str) -> None:
    """What many people use, what they make of it to please a rule, and what is known about firm and owner."""
    assert await passwords.is_easy(password, ["herman@whale.example", "Herman Melville"])


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "x7-kq2.vB9_mZ",
        "my dog has fleas again",
        "Grüße aus dem Süden",
        "密码是一个很长的句子呀真的",
        "hermann tanzt gern im regen",
    ],
)
async def test_not_easy(passwords: Argon2Passwords, password: str) -> None:
    """Some words in a row, in any language, or chance."""
    assert not await passwords.is_easy(password, ["herman@whale.example", "Herman Melville"])


@pytest.mark.asvs("V6.2.4")
async def test_all_of_a_list(passwords: Argon2Passwords) -> None:
    """Every password of 12 characters or more among the 30,000 most used ones is easy."""
    long = [password for password in FREQUENCY_LISTS["passwords"] if len(password) >= 12]
    easy = [await passwords.is_easy(password, []) for password in long]

    assert len(long) > 200
    assert all(easy)


async def test_words_of_one_owner_are_not_kept_for_the_next(passwords: Argon2Passwords) -> None:
    """Of several at once, each is judged with the words of its own owner."""
    asked = [passwords.is_easy("xochiquetzalli", ["Xochiquetzalli"] if known else []) for known in [True, False] * 20]

    assert await asyncio.gather(*asked) == [True, False] * 20


@pytest.mark.long
async def test_judging_takes_no_time_to_speak_of(passwords: Argon2Passwords) -> None:
    """However long a password, and however many spellings it has, it does not hold up the service."""
    begin = process_time()
    await passwords.is_easy("4@8({[<369!17|$5+%20" * 50, ["x" * 254, "y " * 50])

    assert process_time() - begin < 2
