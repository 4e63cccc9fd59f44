"""Leads whose time is over, as the settings and the service have it."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.service import LOG, form, running
from tests.web import signed_in, text_of

from leadintake.application.app import App

pytestmark = pytest.mark.long

PATIENCE = 10.0
"""Seconds for what the worker does as soon as it runs."""


def a_month_later(app: App) -> App:
    """The application, when a month has gone by."""
    return replace(app, retention=replace(app.retention, now=lambda: datetime.now(UTC) + timedelta(days=31)))


@pytest.mark.asvs("V14.2.7")
def test_the_worker_erases_what_is_too_old(tmp_path: Path) -> None:
    """The page says how long a lead is kept that was reached out to; then the service erases it, and logs that."""
    with running(tmp_path / "data", RETENTION_DAYS="30") as service:
        service.add_user("attorney@example.org")
        waiting, answered = (service.client().post("/public/leads", **form()).json()["id"] for _ in range(2))
        attorney, page = service.sign_in("attorney@example.org"), signed_in(service, "attorney@example.org")
        attorney.patch(f"/leads/{answered}", json={"state": "REACHED_OUT"}).raise_for_status()
        pages = [text_of(page.get(f"/inbox/leads/{lead_id}").text) for lead_id in (waiting, answered)]
    begin = len(LOG.getvalue())
    with running(tmp_path / "data", a_month_later, RETENTION_DAYS="30") as service:
        attorney = service.sign_in("attorney@example.org")
        deadline = time.monotonic() + PATIENCE
        while len(service.files()) > 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        statuses = [attorney.get(f"/leads/{lead_id}").status_code for lead_id in (waiting, answered)]
        files = service.files()
    lines = LOG.getvalue()[begin:].decode().splitlines()

    assert ["Kept until" in said for said in pages] == [False, True]
    assert statuses == [200, 404]
    assert len(files) == 1
    assert any('"job":"expire"' in line and '"removed":1' in line for line in lines)
