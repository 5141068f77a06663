"""Triggers: when a run starts, and why. What a run does is in `sync_core`.

Everything heavy is imported at the first use, so that a cold start answers Graph's handshake in time.
"""

from urllib.parse import unquote, urlsplit

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

# The host tries routes in the alphabetical order of the functions' names, and a catch-all wins over a
# literal one that comes later (github.com/Azure/azure-functions-host/issues/3153), so `admin` leaves
# out what belongs to others.
ADMIN_ROUTE = "{*rest:regex(^(?!(sync|graph/notifications|graph/lifecycle)/?$).*)}"
ADMIN_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


@app.function_name("scheduled_sync")
@app.timer_trigger(
    arg_name="timer", schedule="%SYNC_SCHEDULE%", run_on_startup=False, use_monitor=True
)
async def scheduled_sync(timer: func.TimerRequest) -> None:
    """Ask for a run of every connection that is due."""
    from sync_core import triggers

    await triggers.scheduled(past_due=timer.past_due, next_at=next_tick(timer))


@app.function_name("maintenance")
@app.timer_trigger(
    arg_name="timer", schedule="0 17 * * * *", run_on_startup=False, use_monitor=True
)
async def maintenance(timer: func.TimerRequest) -> None:
    """Look after what nobody asks for: connections that have not run for too long."""
    from sync_core import triggers

    await triggers.maintained(past_due=timer.past_due, next_at=next_tick(timer))


@app.function_name("run_sync")
@app.queue_trigger(arg_name="message", queue_name="sync-requests", connection="AzureWebJobsStorage")
async def run_sync(message: func.QueueMessage) -> None:
    """Run one connection, as one message asks."""
    from sync_core import triggers

    delivery = triggers.Delivery.of(message.id, message.insertion_time, message.dequeue_count)
    await triggers.requested(message.get_body(), delivery)


@app.function_name("poisoned")
@app.queue_trigger(
    arg_name="message", queue_name="sync-requests-poison", connection="AzureWebJobsStorage"
)
async def poisoned(message: func.QueueMessage) -> None:
    """Say of a request that was given up why, in its run and in the log."""
    from sync_core import triggers

    await triggers.poisoned(message.get_body())


@app.function_name("sync_now")
@app.route(route="sync", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
async def sync_now(req: func.HttpRequest) -> func.HttpResponse:
    """Ask for a run of every enabled connection, or of `?connection=ID`."""
    from sync_core import triggers

    return to_response(await triggers.sync_now(req.params.get("connection")))


@app.function_name("graph_notifications")
@app.route(route="graph/notifications", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def graph_notifications(req: func.HttpRequest) -> func.HttpResponse:
    """Take Graph's change notifications: the handshake, or a delivery."""
    if (token := req.params.get("validationToken")) is not None:
        return handshake(token)
    from sync_core import triggers

    return to_response(await triggers.notified(req.get_body(), req.headers.get("content-type")))


@app.function_name("graph_lifecycle")
@app.route(route="graph/lifecycle", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def graph_lifecycle(req: func.HttpRequest) -> func.HttpResponse:
    """Take Graph's lifecycle notifications of our subscriptions."""
    if (token := req.params.get("validationToken")) is not None:
        return handshake(token)
    from sync_core import triggers

    media_type = req.headers.get("content-type")
    return to_response(await triggers.lifecycle_notified(req.get_body(), media_type))


# Their names and nothing of the app: a handshake has to be answered within seconds of a cold start.
WEBHOOKS = (["graph", "notifications"], ["graph", "lifecycle"])


@app.function_name("admin")
@app.route(route=ADMIN_ROUTE, methods=ADMIN_METHODS, auth_level=func.AuthLevel.ANONYMOUS)
async def admin(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Serve the REST API; it checks the caller's role itself, on every route.

    Graph's webhooks have functions of their own. Should a host route one of them here, as it did with other
    catch-alls, the handshake is answered all the same: a subscription fails by anything else.
    """
    if is_webhook(req.url):
        token = req.params.get("validationToken")
        return handshake(token) if token is not None else not_found()
    from sync_core import triggers

    middleware = func.AsgiMiddleware(triggers.api())  # type: ignore[no-untyped-call]
    answer: func.HttpResponse = await middleware.handle_async(req, context)
    return answer


def next_tick(timer: func.TimerRequest) -> str | None:
    """Return when the host says that a timer fires next; a schedule monitor (`use_monitor`) knows."""
    told = getattr(timer, "schedule_status", None) or {}
    return told.get("Next")


def handshake(token: str) -> func.HttpResponse:
    """Answer Graph's handshake: its validation token, decoded once, as plain text.

    learn.microsoft.com/graph/change-notifications-delivery-webhooks
    """
    return func.HttpResponse(
        token,
        status_code=200,
        mimetype="text/plain",
        charset="utf-8",
        headers={"X-Content-Type-Options": "nosniff"},
    )


def is_webhook(url: str) -> bool:
    """Whether an address is that of a webhook, however it is written."""
    parts = [part for part in unquote(urlsplit(url).path).lower().split("/") if part]
    return parts[-2:] in WEBHOOKS and len(parts) <= 3


def not_found() -> func.HttpResponse:
    body = (
        b'{"type": "about:blank", "title": "Not Found", "status": 404, "code": "route.notFound", '
        b'"detail": "There is nothing here but the handshake of Microsoft Graph.", '
        b'"remedy": "Deliveries are taken by POST at this address."}'
    )
    return func.HttpResponse(body, status_code=404, mimetype="application/problem+json")


def to_response(answer: tuple[int, bytes]) -> func.HttpResponse:
    status, body = answer
    kind = "application/json" if status < 400 else "application/problem+json"
    return func.HttpResponse(body, status_code=status, mimetype=kind)
