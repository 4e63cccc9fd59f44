from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadintake.domain.resume import Kind
from leadintake.entrypoints.settings import SETTINGS, BadSetting, name_of
from leadintake.entrypoints.settings.environment import load

SECRET = "kW9vX2mQ7pLr4sT8uYzB1cD3eF5gH6jK"
TOKEN = "s3cret-for-metrics"


def refusal(environ: dict[str, str]) -> str:
    """The one line that an environment is refused with."""
    with pytest.raises(BadSetting) as refused:
        load(environ, {})
    return str(refused.value)


def test_nothing_set_gives_the_defaults_of_the_design() -> None:
    """A start without any settings is a start on this machine, for this machine."""
    settings = load({}, {})

    assert settings.data_dir == Path("data")
    assert settings.database_path == Path("data/leadintake.db")
    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.admin_email == "admin@example.com"
    assert settings.firm_name == "Our firm"
    assert settings.mail_from == "noreply@example.com"
    assert settings.attorney_email is None
    assert settings.max_resume_bytes == 10 * 1024 * 1024
    assert settings.resume_types == {Kind.PDF, Kind.DOC, Kind.DOCX}
    assert settings.secret_key is None
    assert settings.secret_key_accepted is None
    assert settings.allowed_origins == settings.trusted_proxies == ()
    assert settings.allowed_hosts == ("127.0.0.1", "localhost", "[::1]")
    assert (settings.rate_limit_submit, settings.rate_limit_login) == ("30/minute", "10/minute")
    assert (settings.confirmations_per_address, settings.confirmations_total) == ("3/day", None)
    assert settings.rate_limit_megabytes == "500/day"
    assert (settings.max_uploads, settings.retention_days) == (64, None)
    assert settings.sweep_after == timedelta(hours=1)
    assert settings.docs is True
    assert settings.metrics_token is None


def test_the_environment_goes_before_the_file() -> None:
    """A name in both is taken from the environment, and each alone counts."""
    settings = load({"LEADINTAKE_PORT": "9000"}, {"LEADINTAKE_PORT": "9001", "LEADINTAKE_FIRM_NAME": "Ng & Null"})

    assert (settings.port, settings.firm_name) == (9000, "Ng & Null")


def test_a_mail_server_is_used_where_it_is_named() -> None:
    """It need not be said twice; but mail may be written to files even so."""
    server = {"LEADINTAKE_SMTP_HOST": "relay.example"}

    assert load({}, {}).mail_backend == "console"
    assert load(server, {}).mail_backend == "smtp"
    assert load({**server, "LEADINTAKE_MAIL_BACKEND": "console"}, {}).mail_backend == "console"


@pytest.mark.parametrize(
    ("environ", "base_url", "mail_from", "first_host"),
    [
        (
            {"LEADINTAKE_HOST": "0.0.0.0", "LEADINTAKE_PORT": "80"},
            "http://localhost",
            "noreply@example.com",
            "localhost",
        ),
        ({"LEADINTAKE_HOST": "::1"}, "http://[::1]:8000", "noreply@example.com", "[::1]"),
        ({"LEADINTAKE_HOST": "[::1]"}, "http://[::1]:8000", "noreply@example.com", "[::1]"),
        (
            {"LEADINTAKE_BASE_URL": "HTTPS://Intake.Firm.example:443/"},
            "https://intake.firm.example",
            "noreply@intake.firm.example",
            "intake.firm.example",
        ),
        (
            {"LEADINTAKE_BASE_URL": "http://10.0.0.7:8080/intake/"},
            "http://10.0.0.7:8080/intake",
            "noreply@example.com",
            "10.0.0.7",
        ),
    ],
)
def test_what_is_not_set_follows_from_what_is(
    environ: dict[str, str], base_url: str, mail_from: str, first_host: str
) -> None:
    """The base URL comes from host and port; sender and allowed hosts come from the base URL."""
    settings = load(environ, {})

    assert settings.base_url == base_url
    assert settings.mail_from == mail_from
    assert settings.allowed_hosts[0] == first_host
    assert {"localhost", "127.0.0.1", "[::1]"} <= set(settings.allowed_hosts)


def test_a_default_that_cannot_be_says_what_it_follows_from() -> None:
    """Mail takes no sender in .local, which is a fine name for a machine."""
    line = refusal({"LEADINTAKE_BASE_URL": "http://intake.local"})

    assert line.startswith("LEADINTAKE_MAIL_FROM is not set: noreply@intake.local, after LEADINTAKE_BASE_URL, is not")
    assert line.endswith("; give one plain address such as office@example.com.")


def test_lists_are_read_between_commas() -> None:
    """Spaces do not count, repeats count once, and each value is brought into the form it is compared in."""
    settings = load(
        {
            "LEADINTAKE_RESUME_TYPES": "pdf, txt",
            "LEADINTAKE_ALLOWED_ORIGINS": "https://WWW.firm.example:443, https://www.firm.example/",
            "LEADINTAKE_TRUSTED_PROXIES": "10.0.0.0/8,::1",
        },
        {},
    )

    assert settings.resume_types == {Kind.PDF, Kind.TXT}
    assert settings.allowed_origins == ("https://www.firm.example",)
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")


def test_texts_of_the_form_are_paragraphs() -> None:
    """A blank line begins one, a line break may be written out, and what is around does not count."""
    settings = load(
        {
            "LEADINTAKE_FORM_NOTICE": " One.\\n\\nTwo,\\nstill two. ",
            "LEADINTAKE_FORM_NEXT": "\nOne.\r\n \r\n\r\nTwo.\n",
        },
        {},
    )

    assert settings.form_notice == "One.\n\nTwo,\nstill two."
    assert settings.form_next == "One.\n\nTwo."
    assert settings.form_introduction
    assert settings.privacy_url is None


def test_a_link_is_kept_as_it_is() -> None:
    """With its query and its fragment."""
    link = "https://www.firm.example/legal/?lang=en#privacy"

    assert load({"LEADINTAKE_PRIVACY_URL": link}, {}).privacy_url == link


def test_logs_are_for_people_on_a_terminal() -> None:
    """Console lines on a terminal, JSON elsewhere, and whatever was asked for anywhere."""
    assert load({}, {}, terminal=True).log_format == "console"
    assert load({}, {}).log_format == "json"
    assert load({"LEADINTAKE_LOG_FORMAT": "console"}, {}).log_format == "console"


def test_megabytes_are_limited_where_submissions_are() -> None:
    """Who turns the one limit off by address turns off the other, and may still set either."""
    off = {"LEADINTAKE_RATE_LIMIT_SUBMIT": "off"}

    assert load(off, {}).rate_limit_megabytes is None
    assert load({**off, "LEADINTAKE_RATE_LIMIT_MEGABYTES": "2000/day"}, {}).rate_limit_megabytes == "2000/day"
    assert load({"LEADINTAKE_RATE_LIMIT_MEGABYTES": "off"}, {}).rate_limit_megabytes is None


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("LEADINTAKE_PROT", "LEADINTAKE_PORT"),
        ("LEADINTAKE_SECRET", "LEADINTAKE_SECRET_KEY"),
        ("LEADINTAKE_MAX_UPLOAD", "LEADINTAKE_MAX_UPLOADS"),
        ("LEADINTAKE_PORT_FILE", "LEADINTAKE_PORT"),
    ],
)
def test_a_name_that_means_nothing_stops_the_start(name: str, nearest: str) -> None:
    """The refusal names the nearest setting there is; in the .env file as in the environment."""
    assert refusal({name: "1"}) == f"There is no setting {name}. The nearest is {nearest}."

    with pytest.raises(BadSetting):
        load({}, {name: "1"})


def test_names_of_others_are_none_of_our_business() -> None:
    """A name without our prefix is somebody else's."""
    assert load({"PATH": "/bin", "PORT": "x"}, {"LEADINTAKER": "y"}) == load({}, {})


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"DATABASE_URL": "postgresql://db/leads"}, "LEADINTAKE_SECRET_KEY"),
        ({"LEADINTAKE_FILES_REDIRECT": "on"}, "LEADINTAKE_FILES_REDIRECT"),
        ({"LEADINTAKE_MAIL_BACKEND": "smtp"}, "LEADINTAKE_SMTP_HOST"),
        ({"LEADINTAKE_SMTP_USERNAME": "ada"}, "LEADINTAKE_SMTP_USERNAME"),
        ({"LEADINTAKE_SMTP_PASSWORD": "hunter2"}, "LEADINTAKE_SMTP_USERNAME"),
        (
            {
                "LEADINTAKE_SMTP_USERNAME": "ada",
                "LEADINTAKE_SMTP_PASSWORD": "hunter2",
                "LEADINTAKE_SMTP_TLS": "off",
            },
            "LEADINTAKE_SMTP_TLS",
        ),
    ],
)
def test_settings_that_do_not_go_together_stop_the_start(given: dict[str, str], named: str) -> None:
    """The line names what to change, and repeats no password."""
    line = refusal(given)

    assert line.startswith(named)
    assert line.isprintable()
    assert "hunter2" not in line


def test_engines_are_chosen_by_settings_alone() -> None:
    """Every engine for scale is one setting away from the one beside it."""
    settings = load(
        {
            "DATABASE_URL": "postgres://ada:hunter2@db.example/leads?sslmode=verify-full",
            "LEADINTAKE_SECRET_KEY": SECRET,
            "LEADINTAKE_FILES": "s3://resumes/intake/",
            "LEADINTAKE_FILES_REDIRECT": "on",
            "AWS_REGION": "eu-central-1",
            "LEADINTAKE_MAIL_BACKEND": "smtp",
            "LEADINTAKE_SMTP_HOST": "relay.example",
            "LEADINTAKE_WORKER": "separate",
        },
        {"LEADINTAKE_REDIS_URL": "redis://cache.example:6379/1", "AWS_SECRET_ACCESS_KEY": "hunter3"},
    )

    assert settings.postgres_url == "postgresql://ada:hunter2@db.example/leads?sslmode=verify-full"
    assert settings.files == "s3://resumes/intake"
    assert settings.store_options == {"aws_region": "eu-central-1", "aws_secret_access_key": "hunter3"}
    assert (settings.smtp_tls, settings.smtp_port) == ("require", 587)
    assert settings.redis_url == "redis://cache.example:6379/1"
    assert "hunter" not in repr(settings)


@pytest.mark.parametrize(("tls", "port"), [("require", 587), ("implicit", 465), ("off", 25)])
def test_the_mail_servers_port_follows_from_how_it_is_spoken_to(tls: str, port: int) -> None:
    """Unless it is given."""
    assert load({"LEADINTAKE_SMTP_TLS": tls}, {}).smtp_port == port
    assert load({"LEADINTAKE_SMTP_TLS": tls, "LEADINTAKE_SMTP_PORT": "2525"}, {}).smtp_port == 2525


@pytest.mark.asvs("V13.3.1")
@pytest.mark.attack(177)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://user:hunter2@db"),
        ("DATABASE_URL", "postgresql+asyncpg://user:hunter2@db/leads"),
        ("LEADINTAKE_FILES", "/var/lib/uploads"),
        ("LEADINTAKE_FILES", "s3://bucket/../other"),
        ("LEADINTAKE_FILES", "ftp://bucket"),
        ("LEADINTAKE_REDIS_URL", "http://hunter2@cache"),
        ("LEADINTAKE_SMTP_TLS", "on"),
        ("LEADINTAKE_WORKER", "none"),
        ("DATABASE_URL", "mysql://db/leads"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "sqlite:///%00"),
        ("LEADINTAKE_DATA_DIR", "~nobody-of-that-name/x"),
        ("LEADINTAKE_DATA_DIR", "a\0b"),
        ("LEADINTAKE_PORT", "0"),
        ("LEADINTAKE_RETENTION_DAYS", "7"),
        ("LEADINTAKE_RETENTION_DAYS", "never"),
        ("LEADINTAKE_RATE_LIMIT_MEGABYTES", "500 MB"),
        ("LEADINTAKE_PORT", "65536"),
        ("LEADINTAKE_PORT", "\uff18\uff10\uff10\uff10"),
        ("LEADINTAKE_PORT", "1" * 30),
        ("LEADINTAKE_HOST", "http://localhost"),
        ("LEADINTAKE_BASE_URL", "intake.example.com"),
        ("LEADINTAKE_BASE_URL", "ftp://intake.example.com"),
        ("LEADINTAKE_BASE_URL", "https://user@intake.example.com"),
        ("LEADINTAKE_BASE_URL", "https://intake.example.com/?a=b"),
        ("LEADINTAKE_BASE_URL", "https://intake.example.com:99999"),
        ("LEADINTAKE_BASE_URL", "https://intake.example.com/\r\nBcc: x"),
        ("LEADINTAKE_ADMIN_EMAIL", "admin"),
        ("LEADINTAKE_MAIL_FROM", "Ada <ada@example.com>"),
        ("LEADINTAKE_ATTORNEY_EMAIL", "a@example.com,b@example.com"),
        ("LEADINTAKE_FIRM_NAME", "Null\nBcc: x@example.com"),
        ("LEADINTAKE_FIRM_NAME", "x" * 101),
        ("LEADINTAKE_FORM_INTRODUCTION", "x" * 2001),
        ("LEADINTAKE_FORM_NOTICE", " \\n "),
        ("LEADINTAKE_FORM_NEXT", "Null\0"),
        ("LEADINTAKE_PRIVACY_URL", "javascript:alert(1)"),
        ("LEADINTAKE_PRIVACY_URL", "//www.example.com/privacy"),
        ("LEADINTAKE_PRIVACY_URL", "https://user@www.example.com/privacy"),
        ("LEADINTAKE_PRIVACY_URL", "https://www.example.com/our policy"),
        ("LEADINTAKE_PRIVACY_URL", "https://www.example.com/#a\nb"),
        ("LEADINTAKE_MAIL_TEMPLATES", "/no/such/folder"),
        ("LEADINTAKE_MAX_RESUME_BYTES", "10MB"),
        ("LEADINTAKE_MAX_RESUME_BYTES", "-1"),
        ("LEADINTAKE_RESUME_TYPES", "pdf,exe"),
        ("LEADINTAKE_RESUME_TYPES", "pdf,"),
        ("LEADINTAKE_SECRET_KEY", "short"),
        ("LEADINTAKE_SECRET_KEY", "a" * 64),
        ("LEADINTAKE_SECRET_KEY_ACCEPTED", "short"),
        ("LEADINTAKE_ALLOWED_ORIGINS", "*"),
        ("LEADINTAKE_ALLOWED_ORIGINS", "null"),
        ("LEADINTAKE_ALLOWED_ORIGINS", "https://www.firm.example/form"),
        ("LEADINTAKE_ALLOWED_HOSTS", "*"),
        ("LEADINTAKE_ALLOWED_HOSTS", "firm.example:8000"),
        ("LEADINTAKE_TRUSTED_PROXIES", "*"),
        ("LEADINTAKE_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("LEADINTAKE_RATE_LIMIT_SUBMIT", "30"),
        ("LEADINTAKE_RATE_LIMIT_SUBMIT", "30/minute;100/day"),
        ("LEADINTAKE_RATE_LIMIT_SUBMIT", "30/minute,100/day"),
        ("LEADINTAKE_RATE_LIMIT_SUBMIT", "30/minute|100/day"),
        ("LEADINTAKE_CONFIRMATIONS_TOTAL", "3 per 99999999999 years"),
        ("LEADINTAKE_RATE_LIMIT_LOGIN", "0/minute"),
        ("LEADINTAKE_CONFIRMATIONS_PER_ADDRESS", "3/fortnight"),
        ("LEADINTAKE_MAX_UPLOADS", "0"),
        ("LEADINTAKE_SWEEP_AFTER", "599"),
        ("LEADINTAKE_DOCS", "true"),
        ("LEADINTAKE_METRICS_TOKEN", "short"),
        ("LEADINTAKE_METRICS_TOKEN", "two words and more"),
        ("LEADINTAKE_LOG_FORMAT", "xml"),
    ],
)
def test_a_bad_value_stops_the_start_with_one_line(name: str, value: str) -> None:
    """The line names the setting and what it can be, and repeats no password."""
    line = refusal({name: value})

    assert line.startswith(name)
    assert line.isprintable()
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter2/x@db/leads",
        "postgresql://ada:5432/hunter2@db/leads",
        "postgresql://ada:5432/x?y=hunter2@db/leads",
        "postgresql://ada:hunter2?x@db/leads",
        "postgresql://ada:hunter2#x@db/leads",
        "postgresql://ada:x@hunter2@db/leads",
        "postgresql://ada:x[hunter2]@db/leads",
        "postgresql://ada:hunter2\u2100@db/leads",
        "postgresql://ada:hunter2@db:port/leads",
        "postgresql://ada:hunter2@db:0/leads",
        "postgresql://ada:hunter2@db:65536/leads",
        "postgresql://ada:hunter2@db/leads?sslmode",
    ],
)
def test_a_password_that_ends_the_url_early_is_refused_and_not_shown(url: str) -> None:
    """Part of it would pass for a host, a port or a name."""
    line = refusal({"DATABASE_URL": url})

    assert line.startswith("DATABASE_URL: give postgresql://user:password@host:port/name")
    assert "as % and two hex digits" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///leads?host=/run/postgresql",
        "postgresql://ada@%2Frun%2Fpostgresql/leads",
        "postgresql://ada:%2F%40%23%3f@[::1]:5432/leads",
        "postgresql://db-1:5432,db-2:5433/leads?target_session_attrs=read-write",
    ],
)
def test_whatever_else_names_a_postgresql_database_is_taken(url: str) -> None:
    """As it is: sockets, several hosts, and passwords of any characters."""
    assert load({"DATABASE_URL": url, "LEADINTAKE_SECRET_KEY": SECRET}, {}).postgres_url == url


@pytest.mark.parametrize("name", [name_of(attribute) for attribute in SETTINGS])
def test_an_empty_value_is_no_value(name: str) -> None:
    """A variable that came out empty is a mistake of whoever filled it, and a default would hide it."""
    assert refusal({name: ""}) == f"{name} is empty. Give it a value or remove it."


def test_secrets_do_not_show() -> None:
    """Settings that end in a log or a trace keep their secrets."""
    old = SECRET[::-1]
    secrets = {"LEADINTAKE_SECRET_KEY": SECRET, "LEADINTAKE_SECRET_KEY_ACCEPTED": old}
    settings = load({**secrets, "LEADINTAKE_METRICS_TOKEN": TOKEN}, {})

    assert settings.secret_key_accepted == old.encode()
    assert SECRET not in repr(settings)
    assert old not in repr(settings)
    assert TOKEN not in repr(settings)


@given(name=st.sampled_from(list(SETTINGS)), value=st.text(min_size=1))
def test_no_value_breaks_the_start_otherwise(name: str, value: str) -> None:
    """Any text is either a value or a refusal of one line."""
    try:
        load({name_of(name): value}, {})
    except BadSetting as refused:
        line = str(refused)
    else:
        line = ""

    assert "\n" not in line
