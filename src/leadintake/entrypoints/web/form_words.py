"""What the form says of its fields, before and after they are filled in."""

from dataclasses import dataclass

from leadintake.application.intake import EMPTY_FILE
from leadintake.domain.resume import Kind, either, listed, rounded_down
from leadintake.entrypoints.http.multipart import FILE
from leadintake.entrypoints.settings import Settings

LABELS = {"first_name": "First name", "last_name": "Last name", "email": "Email", FILE: "Resume"}

MISSING = {
    "first_name": "Enter your first name.",
    "last_name": "Enter your last name.",
    "email": "Enter your email address.",
    FILE: "Choose your resume.",
}

NO_ADDRESS = "Enter one address such as name@example.com."
"""Said by the script of what is no address at all; what else can be wrong with one, only the service knows."""


@dataclass(frozen=True, slots=True)
class ResumeWords:
    """What is said of the file. `accept` is for the input, `most` in bytes for the script, and the rest for people."""

    accept: str
    most: int
    hint: str
    too_large: str
    wrong_kind: str
    empty: str


def resume_words(settings: Settings) -> ResumeWords:
    """What a firm's settings come to."""
    endings = [f".{kind}" for kind in Kind if kind in settings.resume_types]
    limit = rounded_down(settings.max_resume_bytes).replace(" ", "\N{NO-BREAK SPACE}")
    return ResumeWords(
        accept=",".join(endings),
        most=settings.max_resume_bytes,
        hint=f"{listed(settings.resume_types)}, at most {limit}.",
        too_large=f"The file is larger than {limit}. Choose a smaller one, perhaps with fewer pictures.",
        wrong_kind=f"The name of the file has to end in {either(endings)}. Choose another file, or rename this one.",
        empty=EMPTY_FILE,
    )
