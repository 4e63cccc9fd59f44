"""Deliveries: what was owed because of a lead, and how far it got."""

from litestar import Router, get, post
from litestar.params import FromPath
from msgspec import Struct

from leadintake.application.views import DeliveryView
from leadintake.domain.errors import NotRetryable
from leadintake.entrypoints.http.document import describe
from leadintake.entrypoints.http.guard import SignedIn, signed_in
from leadintake.entrypoints.http.reading import parsed_id
from leadintake.entrypoints.http.serving import serving


class Deliveries(Struct):
    """The notifications of a lead, in the order they were owed."""

    items: list[DeliveryView]


@get("/leads/{lead_id:str}/deliveries", operation_id="listDeliveries", summary="See the notifications of a lead")
async def deliveries(request: SignedIn, lead_id: FromPath[str]) -> Deliveries:
    """The confirmation to the prospect and the notifications to attorneys. One that is `held` waits for `retry`."""
    return Deliveries(await serving(request).app.desk.deliveries(request.user, parsed_id(lead_id)))


@post(
    "/deliveries/{delivery_id:str}/retry",
    operation_id="retryDelivery",
    summary="Send a notification again",
    status_code=200,
    opt=describe(NotRetryable),
)
async def retry(request: SignedIn, delivery_id: FromPath[str]) -> DeliveryView:
    """Send a delivery that failed or is held, from now on, with all its tries."""
    return await serving(request).app.desk.retry(request.user, parsed_id(delivery_id))


routes = Router("/", route_handlers=[deliveries, retry], before_request=signed_in, tags=["Leads"])
