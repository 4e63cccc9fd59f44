"""Every page there is, with who may see it."""

from litestar import Router

from leadintake.domain.errors import NotSignedIn
from leadintake.entrypoints.web import account, inbox, lead, mails, notes, sign_in, users
from leadintake.entrypoints.web.pages import asset
from leadintake.entrypoints.web.session import ask_to_sign_in, may_manage_users, same_origin, signed_in

open_pages = Router(
    "/",
    route_handlers=[asset, sign_in.sign_in_page, sign_in.sign_in, sign_in.sign_out, notes.keep],
    guards=[same_origin],
    include_in_schema=False,
)

desk = Router(
    "/",
    route_handlers=[
        inbox.inbox,
        inbox.arrivals,
        lead.lead,
        lead.reach_out,
        lead.release,
        lead.ask_to_discard,
        lead.discard,
        lead.resume,
        lead.ask_to_erase,
        lead.erase,
        lead.resend,
        mails.mails,
        account.account,
        account.change_password,
        account.end_session,
    ],
    guards=[same_origin, signed_in],
    exception_handlers={NotSignedIn: ask_to_sign_in},
    include_in_schema=False,
)

admins_desk = Router(
    "/",
    route_handlers=[
        users.users,
        users.add,
        users.user,
        users.change,
        users.deactivate,
        users.activate,
        users.renew_password,
    ],
    guards=[same_origin, signed_in, may_manage_users],
    exception_handlers={NotSignedIn: ask_to_sign_in},
    include_in_schema=False,
)

ROUTERS = [open_pages, desk, admins_desk]
