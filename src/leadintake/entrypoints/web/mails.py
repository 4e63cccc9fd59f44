"""The mails that have not gone out, for people to see why and to send again."""

from litestar import get
from litestar.response import Template

from leadintake.domain.delivery import GIVE_UP_AFTER, Status
from leadintake.entrypoints.http.guard import SignedIn
from leadintake.entrypoints.http.serving import serving
from leadintake.entrypoints.web.pages import desk_page, just_done

MAILS_MAX = 50
"""So many are shown, those first that wait for a person."""

DONE = {"again": "The mail is on its way again."}
"""What was done just before, by what the address of the page says."""


@get("/inbox/mails")
async def mails(request: SignedIn) -> Template:
    """What failed, what is held back, and what goes out by itself."""
    inbox = serving(request).app.inbox
    owed = await inbox.unsettled(request.user, MAILS_MAX + 1)
    shown = owed[:MAILS_MAX]
    return desk_page(
        request,
        "mails",
        await inbox.trouble(request.user),
        place="mails",
        failed=[mail for mail in shown if mail.delivery.status is Status.FAILED],
        held=[mail for mail in shown if mail.delivery.status is Status.HELD],
        waiting=[mail for mail in shown if mail.delivery.status in {Status.PENDING, Status.SENDING}],
        more_than=MAILS_MAX if len(owed) > MAILS_MAX else None,
        tried_for=GIVE_UP_AFTER,
        done=just_done(request, DONE),
    )
