import base64
import hashlib
import hmac
import json
import math
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadintake.adapters.security.keys import derive
from leadintake.adapters.security.passwords import generate_password
from leadintake.adapters.security.tokens import JwtTokens
from leadintake.application.ports.security import Claims

SECRET = bytes(range(32))
KEY = derive(SECRET, "access token")
ISSUER = "https://leads.example.com"
TOKENS = JwtTokens([SECRET], ISSUER)
CLAIMS = Claims(UUID(int=1), UUID(int=2))
NOW = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
TIME = int(NOW.timestamp())
LIFETIME = timedelta(minutes=15)
HEADER: dict[str, object] = {"alg": "HS256", "typ": "at+jwt"}
PAYLOAD: dict[str, object] = {
    "aud": "leadintake",
    "exp": TIME + 900,
    "iat": TIME,
    "iss": ISSUER,
    "jti": "8d3f",
    "sid": str(CLAIMS.session_id),
    "sub": str(CLAIMS.user_id),
}
ALGORITHMS: list[object] = ["none", "None", "NONE", "nOnE", "", None, [], {}, 0, "hs256", ["HS256"]]
ALGORITHMS += ["HS384", "HS512", "RS256", "ES256"]
HEADERS: dict[str, list[object]] = {
    "typ": ["JWT", "refresh+jwt", "reset+jwt", "AT+JWT", "application/at+jwt", "", None, 1, ["at+jwt"]],
    "kid": ["../../../dev/null", "' OR 1=1 --", "| id", "a", "k" * 2_000, 1, None, {}, ["a"]],
    "jwk": [{"kty": "oct", "k": "AAAA"}],
    "jku": ["http://127.0.0.1:9/keys"],
    "x5u": ["http://127.0.0.1:9/certificate"],
    "crit": [["exp"], ["b64"], [], None],
    "b64": [False, True],
    "zip": ["DEF"],
    "cty": ["JWT"],
}
WRONG: dict[str, list[object]] = {
    "exp": [TIME, 0, -1, -(10**18), 10**18, 10**400, str(TIME + 900), TIME + 900.0, math.nan, math.inf, True, []],
    "iat": [TIME + 60, TIME + 86_400, 10**18, str(TIME), TIME + 0.0, math.nan, True, []],
    "nbf": [TIME + 60, TIME, 0, "soon"],
    "aud": ["other", "", "leadintake2", "lead", "LEADINTAKE", ["leadintake"], ["other", "leadintake"], {}, 1],
    "iss": ["https://evil.example", "", "https://leads", f"{ISSUER}/", f"{ISSUER}.evil.example", [ISSUER], 1],
    "sub": ["", "admin", "1 OR 1=1", "' OR ''='", 1, True, [str(UUID(int=1))], {}],
    "sid": ["", "x", 2, True, [str(UUID(int=2))], {}],
    "jti": [1, True, [], {}],
    "role": ["admin"],
}


def encoded(part: bytes) -> str:
    """The form of a part in a token."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def signed(header: object, payload: object, key: bytes = KEY, hashed: str = "sha256") -> str:
    """A token that says anything, signed all the same."""
    body = ".".join(
        encoded(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, payload)
    )
    return f"{body}.{encoded(hmac.digest(key, body.encode(), hashed))}"


ISSUED = signed(HEADER, PAYLOAD)
BODY, _, SIGNATURE = ISSUED.rpartition(".")


def test_a_token_says_for_whom_it_was_issued() -> None:
    """The claims come back until the lifetime is over, judged by the time that is given and not by the system's."""
    token = TOKENS.issue(CLAIMS, NOW, LIFETIME)
    read = [TOKENS.read(token, NOW + after) for after in (timedelta(), LIFETIME - timedelta(seconds=1), LIFETIME)]

    assert read == [CLAIMS, CLAIMS, None]


def test_the_token_that_the_other_tests_bend_is_good() -> None:
    """A token that is built by hand is read, so that the refusals below are for what each of them changes."""
    assert TOKENS.read(ISSUED, NOW) == CLAIMS


@given(st.datetimes(datetime(1970, 1, 2), datetime(2999, 1, 1), timezones=st.just(UTC)), st.uuids(), st.uuids())  # noqa: DTZ001
def test_every_token_is_read_as_issued(now: datetime, user_id: UUID, session_id: UUID) -> None:
    """Whoever it is for and whenever it is issued, and never by another service or before its time."""
    claims = Claims(user_id, session_id)
    token = TOKENS.issue(claims, now, LIFETIME)

    assert TOKENS.read(token, now) == claims
    assert TOKENS.read(token, now - timedelta(seconds=7)) is None
    assert JwtTokens([SECRET], "https://leads.example.org").read(token, now) is None
    assert JwtTokens([bytes(32)], ISSUER).read(token, now) is None


@pytest.mark.attack(104)
@given(st.integers(0, len(ISSUED) - 1), st.characters(max_codepoint=0x17F))
def test_a_token_with_one_other_character_is_none(at: int, character: str) -> None:
    """Wherever the character is, the spare bits at the end of the signature included."""
    changed = ISSUED[:at] + character + ISSUED[at + 1 :]

    assert (TOKENS.read(changed, NOW) is None) == (changed != ISSUED)


@pytest.mark.attack(114)
@given(
    st.text() | st.text(alphabet="=.-_Aa0", max_size=99) | st.builds("{}.{}.{}".format, st.text(), st.text(), st.text())
)
def test_any_text_is_read_without_an_error(token: str) -> None:
    """What is no token is None."""
    assert TOKENS.read(token, NOW) is None


@pytest.mark.asvs("V9.1.1-3")
@pytest.mark.attack(103, 105)
@pytest.mark.parametrize("alg", ALGORITHMS, ids=ascii)
@pytest.mark.parametrize("signature", ["", SIGNATURE, "A" * 43, "A" * 86])
def test_another_algorithm_is_refused(alg: object, signature: str) -> None:
    """However it is spelled, with no signature, a good one, another token's, or zeros (as of CVE-2022-21449)."""
    token = signed(HEADER | {"alg": alg}, PAYLOAD)

    assert TOKENS.read(token, NOW) is None
    assert TOKENS.read(f"{token.rpartition('.')[0]}.{signature}", NOW) is None


@pytest.mark.attack(105)
@pytest.mark.parametrize("hashed", ["sha384", "sha512"])
def test_a_longer_hash_is_refused(hashed: str) -> None:
    """The key is for one algorithm."""
    token = signed(HEADER | {"alg": f"HS{hashed[3:]}"}, PAYLOAD, hashed=hashed)

    assert TOKENS.read(token, NOW) is None


@pytest.mark.attack(114)
@pytest.mark.parametrize(
    "token",
    [
        *("", ".", "..", "...", BODY, BODY + ".", f"{BODY}.{SIGNATURE[:-1]}", f"{BODY}.{SIGNATURE[:21]}"),
        *(f"{BODY}.{'A' * 43}", ISSUED + "=", ISSUED + "==", ISSUED.replace(".", "=.", 1), f"{BODY}=.{SIGNATURE}"),
        *(ISSUED + " ", " " + ISSUED, ISSUED + "\n", ISSUED + "\0", "Bearer " + ISSUED, ISSUED.replace(".", "..", 1)),
        *(ISSUED + ".", "." + ISSUED, ISSUED + ".e30.e30", ISSUED + ISSUED, ISSUED + "\ud800", ISSUED + "é"),
        json.dumps({"protected": BODY.partition(".")[0], "payload": BODY.partition(".")[2], "signature": SIGNATURE}),
        ISSUED + "A" * 100_000,
        encoded(b"[" * 100_000) + ".e30.e30",
        encoded(b"[" * 3_000) + ".e30.e30",
        encoded(b'{"a":' * 500) + ".e30.e30",
        signed(HEADER, PAYLOAD | {"jti": "8" * 4096}),
        signed([HEADER], PAYLOAD),
        signed(HEADER, [PAYLOAD]),
        signed(HEADER, b"[" * 2_900),
        signed(HEADER, b"1" * 2_900),
        signed(HEADER, b"\xff"),
        signed(b"", b""),
        f"{UUID(int=2)}.{'s' * 43}",
    ],
    ids=lambda token: hashlib.sha256(ascii(token).encode()).hexdigest()[:8],
)
def test_a_misshapen_token_is_refused(token: str) -> None:
    """Nothing is made of parts too few or too many, padding, other serialisations, or sheer size."""
    assert TOKENS.read(token, NOW) is None


@pytest.mark.asvs("V1.3.6", "V9.1.1-3", "V9.2.2-4")
@pytest.mark.attack(106, 107, 112, 113)
@pytest.mark.parametrize(("name", "value"), [(name, value) for name in HEADERS for value in HEADERS[name]], ids=ascii)
def test_another_header_is_refused(name: str, value: object) -> None:
    """Tokens of another type, and every header that would have a key, a file or a network address looked up."""
    assert TOKENS.read(signed({**HEADER, name: value}, PAYLOAD), NOW) is None


@pytest.mark.parametrize("missing", ["alg", "typ"])
def test_a_header_that_lacks_something_is_refused(missing: str) -> None:
    """A token without a type is none, although PyJWT takes it."""
    token = signed({name: value for name, value in HEADER.items() if name != missing}, PAYLOAD)

    assert TOKENS.read(token, NOW) is None


@pytest.mark.asvs("V9.2.1")
@pytest.mark.parametrize("missing", PAYLOAD)
def test_every_claim_is_needed(missing: str) -> None:
    """A claim that is not there, or null, makes the token none."""
    without = {name: value for name, value in PAYLOAD.items() if name != missing}

    assert TOKENS.read(signed(HEADER, without), NOW) is None
    assert TOKENS.read(signed(HEADER, PAYLOAD | {missing: None}), NOW) is None


@pytest.mark.asvs("V9.2.1", "V9.2.2-4")
@pytest.mark.attack(109, 110, 111)
@pytest.mark.parametrize(("claim", "value"), [(claim, value) for claim in WRONG for value in WRONG[claim]], ids=ascii)
def test_another_claim_is_refused(claim: str, value: object) -> None:
    """A wrong time, audience, issuer, subject or session, a wrong type of any, and a claim that is never issued."""
    assert TOKENS.read(signed(HEADER, {**PAYLOAD, claim: value}), NOW) is None


@pytest.mark.asvs("V9.1.1-3")
@pytest.mark.attack(108)
@pytest.mark.parametrize(
    "guess",
    [
        *(
            b"",
            b"secret",
            b"password",
            b"changeme",
            b"123456",
            b"jwt",
            b"key",
            b"test",
            b"admin",
            b"your-256-bit-secret",
        ),
        *(b"leadintake", b"\0", bytes(32), b"0" * 32, b"a" * 64, ISSUER.encode(), SECRET, derive(SECRET, "cursor")),
    ],
    ids=ascii,
)
def test_a_guessed_key_signs_nothing(guess: bytes) -> None:
    """Neither a usual secret, nor the secret itself, nor the key of another purpose, is the key of the tokens."""
    assert TOKENS.read(signed(HEADER, PAYLOAD, guess), NOW) is None


@pytest.mark.asvs("V11.2.2")
@pytest.mark.attack(117)
def test_the_key_is_replaced() -> None:
    """A token that the old key signed is read while that is accepted, and not after; new ones have the new key."""
    new, both = JwtTokens([bytes(32)], ISSUER), JwtTokens([bytes(32), SECRET], ISSUER)
    signed_since = both.issue(CLAIMS, NOW, LIFETIME)

    assert [tokens.read(ISSUED, NOW) for tokens in (TOKENS, both, new)] == [CLAIMS, CLAIMS, None]
    assert [tokens.read(signed_since, NOW) for tokens in (TOKENS, both, new)] == [None, CLAIMS, CLAIMS]
    assert both.read(ISSUED, NOW + LIFETIME) is None


@pytest.mark.asvs("V11.5.1")
@pytest.mark.parametrize("secret_key", [b"", b"secret", b"x" * 31], ids=ascii)
def test_a_short_secret_is_refused(secret_key: bytes) -> None:
    """The service does not start with a key that can be guessed."""
    with pytest.raises(ValueError, match=re.compile(r"at least 32\.\Z")):
        JwtTokens([secret_key], ISSUER)


@pytest.mark.asvs("V9.2.2-4")
def test_each_purpose_has_its_own_key() -> None:
    """Keys are of full length, the same every time, and different for every purpose and secret."""
    keys = [derive(secret, purpose) for secret in (SECRET, bytes(32)) for purpose in ("access token", "cursor")]

    assert len(set(keys)) == 4
    assert {len(key) for key in keys} == {32}
    assert keys[0] == derive(SECRET, "access token")


@pytest.mark.asvs("V11.5.1")
def test_secrets_are_long_and_never_the_same() -> None:
    """A refresh secret has 256 bits, and only its fingerprint has to be stored."""
    secrets = [TOKENS.secret() for _ in range(100)]

    assert len({TOKENS.fingerprint(secret) for secret in secrets}) == 100
    assert min(len(base64.urlsafe_b64decode(secret + "=")) for secret in secrets) == 32
    assert TOKENS.fingerprint("abc") == hashlib.sha256(b"abc").hexdigest()


@given(st.text(alphabet=st.characters()))
def test_every_text_has_a_fingerprint(secret: str) -> None:
    """Half a surrogate pair, which no secret contains, is no error."""
    assert re.fullmatch("[0-9a-f]{64}", TOKENS.fingerprint(secret))


@pytest.mark.asvs("V6.3.2", "V6.4.1")
def test_a_new_password_is_strong_and_easy_to_type() -> None:
    """It has 100 bits in four groups of digits and small letters, none of them easily taken for another."""
    passwords = [generate_password() for _ in range(200)]

    assert len(set(passwords)) == 200
    assert all(re.fullmatch("(?:[0-9a-hjkmnp-tv-z]{5}-){3}[0-9a-hjkmnp-tv-z]{5}", password) for password in passwords)
    assert len(set("".join(passwords))) == 33
