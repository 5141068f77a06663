"""Faults as answers: a fault in, the failure that it makes or the spoiled answer out."""

from local.graph.faults.faults import Fault
from local.graph.faults.kinds import STATUS_KINDS
from local.graph.faults.spoiled import reordered, with_broken_text
from local.graph.http.access import TOKEN_OVER, unauthenticated
from local.graph.http.errors import GraphError, denied, not_found
from local.graph.http.messages import Answer, json_answer

_LOST = "The sync state is not found or has expired. Start again without a token."
_WORDS = {
    400: ("Request_BadRequest", "The request is not valid."),
    403: (denied().code, denied().message),
    404: (not_found("").code, "Resource does not exist."),
    410: ("syncStateNotFound", _LOST),
    429: ("TooManyRequests", "Too many requests."),
    500: ("InternalServerError", "The server ran into an error."),
    502: ("BadGateway", "Bad gateway."),
    503: ("ServiceUnavailable", "The service is temporarily unavailable."),
    504: ("GatewayTimeout", "The request timed out at the gateway."),
}


def failure(fault: Fault) -> Answer | None:
    """Raise the refusal, or give the answer, that comes instead of the right one."""
    if fault.kind in STATUS_KINDS:
        raise status_error(fault)
    if fault.kind == "expiredToken":
        raise unauthenticated(TOKEN_OVER)
    if fault.kind == "errorBody":
        code = str(fault.options.get("error", "UnknownError"))
        return json_answer({"error": {"code": code, "message": _message(fault, "")}})
    if fault.kind == "html":
        page = b"<html><head><title>Sign in</title></head><body>Proxy sign-in</body></html>"
        return Answer(200, page, content_type="text/html; charset=utf-8")
    if fault.kind == "reset":
        return Answer(200, close_after=0)
    return None


def status_error(fault: Fault) -> GraphError:
    headers = {}
    if fault.options.get("retryAfter") is not None:
        headers["Retry-After"] = str(fault.options["retryAfter"])
    status = STATUS_KINDS[fault.kind]
    code, message = _WORDS[status]
    if status == 429:
        headers["x-ms-throttle-information"] = "ResourceUnitLimitExceeded"
        headers["x-ms-throttle-scope"] = "Tenant_Application/ReadWrite"
    return GraphError(
        status, str(fault.options.get("error", code)), _message(fault, message), headers
    )


def spoil(answer: Answer, fault: Fault, *, inside_batch: bool) -> None:
    """Change a right answer as the fault says."""
    if fault.kind == "truncated":
        answer.close_after = int(fault.options.get("bytes", len(answer.body) // 2))
    elif not _is_json(answer):
        return
    elif fault.kind == "reorderedValues":
        answer.body = reordered(answer.body, fault.hits)
    elif fault.kind == "brokenText" and not inside_batch:
        # An item is put into its batch as JSON: there the batch as a whole is broken.
        options = fault.options
        answer.body = with_broken_text(
            answer.body,
            person=options.get("person"),
            attribute=options.get("attribute"),
            how=options.get("how"),
        )


def _is_json(answer: Answer) -> bool:
    return answer.status == 200 and "json" in answer.content_type and bool(answer.body)


def _message(fault: Fault, otherwise: str) -> str:
    return str(fault.options.get("message", otherwise))
