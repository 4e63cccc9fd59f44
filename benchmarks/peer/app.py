"""A lead service as most people would write it in an afternoon: FastAPI, SQLAlchemy on SQLite, mails in the background.

It keeps none of our promises: no file is synced, and mails are owed in memory only. PEER_HOME is the folder of all that
it keeps. With PEER_SYNC=1 it syncs files and mails with their folders, and shows what that costs a service like it.
"""

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from fastapi import BackgroundTasks, Depends, FastAPI, Form, HTTPException, UploadFile
from fastapi.responses import FileResponse
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel, ConfigDict, EmailStr
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

HOME = Path(os.environ["PEER_HOME"])
UPLOADS, MAIL = HOME / "uploads", HOME / "mail"
SECRET = "a secret of thirty-two characters"  # noqa: S105 - it guards nothing
PASSWORD = PasswordHasher().hash("correct horse battery")
IS_SYNCED = os.environ.get("PEER_SYNC") == "1"
MAX_BYTES = 10 * 1024 * 1024
KINDS = {".pdf", ".doc", ".docx"}

UPLOADS.mkdir(parents=True, exist_ok=True)
MAIL.mkdir(exist_ok=True)
engine = create_engine(f"sqlite:///{HOME}/leads.db", connect_args={"check_same_thread": False})
open_session = sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The tables."""


class Lead(Base):
    """A lead as it is stored."""

    __tablename__ = "leads"

    id: Mapped[str] = mapped_column(primary_key=True)
    first_name: Mapped[str]
    last_name: Mapped[str]
    email: Mapped[str] = mapped_column(index=True)
    resume: Mapped[str]
    state: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True)


class LeadOut(BaseModel):
    """A lead as it is shown."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    first_name: str
    last_name: str
    email: str
    state: str
    created_at: datetime


class Page(BaseModel):
    """Some leads, and how many there are in all."""

    items: list[LeadOut]
    total: int


Base.metadata.create_all(engine)
app = FastAPI(title="Leads")
bearer = OAuth2PasswordBearer("token")


def get_session() -> Iterator[Session]:
    """A session for one request."""
    with open_session() as session:
        yield session


def current_user(token: Annotated[str, Depends(bearer)]) -> str:
    """Who asks."""
    try:
        return str(jwt.decode(token, SECRET, ["HS256"])["sub"])
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Invalid token") from None


Db = Annotated[Session, Depends(get_session)]
Name = Annotated[str, Form(min_length=1, max_length=100)]


def write(path: Path, content: bytes) -> None:
    """Write a file, on request so that it outlives a power cut."""
    path.write_bytes(content)
    for place in (path, path.parent) if IS_SYNCED else ():
        descriptor = os.open(place, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def send_mails(lead_id: str, name: str, email: str) -> None:
    """Write the two mails."""
    for to, subject in ((email, "We received your enquiry"), ("attorney@example.com", f"New enquiry: {name}")):
        message = EmailMessage()
        message["From"] = "noreply@example.com"
        message["To"] = to
        message["Subject"] = subject
        message.set_content(f"Enquiry {lead_id} of {name} <{email}>")
        write(MAIL / f"{uuid.uuid4()}.eml", message.as_bytes())


@app.get("/health")
def health() -> dict[str, str]:
    """Say that it runs."""
    return {"status": "ok"}


@app.post("/token")
def token(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
    """Sign in."""
    try:
        PasswordHasher().verify(PASSWORD, form.password)
    except VerificationError:
        raise HTTPException(400, "Wrong user name or password") from None
    claims = {"sub": form.username, "exp": datetime.now(UTC) + timedelta(hours=8)}
    return {"access_token": jwt.encode(claims, SECRET), "token_type": "bearer"}


@app.post("/leads", status_code=201)
def create_lead(  # noqa: PLR0913, PLR0917 - the form
    first_name: Name,
    last_name: Name,
    email: Annotated[EmailStr, Form()],
    resume: UploadFile,
    tasks: BackgroundTasks,
    session: Db,
) -> LeadOut:
    """Take an enquiry in."""
    kind = Path(resume.filename or "").suffix.lower()
    if kind not in KINDS:
        raise HTTPException(422, "The resume must be a PDF or a Word document")
    content = resume.file.read()
    if len(content) > MAX_BYTES:
        raise HTTPException(413, "The resume is too large")
    lead_id = str(uuid.uuid4())
    path = UPLOADS / f"{lead_id}{kind}"
    write(path, content)
    lead = Lead(id=lead_id, first_name=first_name, last_name=last_name, email=email, resume=path.name,
                state="PENDING", created_at=datetime.now(UTC))  # fmt: skip
    session.add(lead)
    session.commit()
    tasks.add_task(send_mails, lead_id, f"{first_name} {last_name}", email)
    return shown(lead)


@app.get("/leads", dependencies=[Depends(current_user)])
def list_leads(session: Db, state: str | None = None, limit: int = 50, offset: int = 0) -> Page:
    """List the newest leads."""
    query = select(Lead)
    if state:
        query = query.where(Lead.state == state)
    total = session.scalar(select(func.count()).select_from(query.subquery()))
    leads = session.scalars(query.order_by(Lead.created_at.desc()).limit(limit).offset(offset))
    return Page(items=[shown(lead) for lead in leads], total=total or 0)


@app.get("/leads/{lead_id}", dependencies=[Depends(current_user)])
def get_lead(lead_id: str, session: Db) -> LeadOut:
    """One lead."""
    return shown(found(session, lead_id))


@app.get("/leads/{lead_id}/resume", dependencies=[Depends(current_user)])
def get_resume(lead_id: str, session: Db) -> FileResponse:
    """The file of a lead."""
    return FileResponse(UPLOADS / found(session, lead_id).resume)


def shown(lead: Lead) -> LeadOut:
    """A lead as it is shown."""
    answer: LeadOut = LeadOut.model_validate(lead)
    return answer


def found(session: Session, lead_id: str) -> Lead:
    """A lead; raises a 404."""
    lead = session.get(Lead, lead_id)
    if lead is None:
        raise HTTPException(404, "No such lead")
    return lead
