"""POST /$batch: up to 20 requests in one; each is answered, and throttled, on its own."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from local.graph.http.errors import GraphError, bad_request, error_body
from local.graph.http.messages import VERSION, Answer, GraphRequest, split_url

Dispatch = Callable[[GraphRequest], Awaitable[Answer]]
_MAX_ITEMS = 20
_ITEM_KEYS = frozenset(("id", "method", "url", "headers", "body", "dependsOn"))


async def run_batch(request: GraphRequest, dispatch: Dispatch, *, throttled_status: int) -> Answer:
    """``throttled_status`` is the status of the whole when an item is throttled."""
    items = request.json().get("requests")
    if not isinstance(items, list) or not items:
        raise bad_request("Invalid batch payload format.")
    if len(items) > _MAX_ITEMS:
        raise GraphError(
            400,
            "BadRequest",
            f"Number of batch request steps exceeds the maximum value of {_MAX_ITEMS}.",
        )
    _check_ids(items)
    statuses: dict[str, int] = {}
    responses = []
    for item in items:
        response = await _answer(request, item, statuses, dispatch)
        statuses[item["id"]] = response["status"]
        responses.append(response)
    # Answers may come in any order: concepts/json-batching.md.
    responses.reverse()
    status = throttled_status if 429 in statuses.values() else 200
    return Answer(status, orjson.dumps({"responses": responses}), content_type="application/json")


def _check_ids(items: list[Any]) -> None:
    seen: set[str] = set()
    for item in items:
        if not isinstance(item, dict) or item.keys() - _ITEM_KEYS:
            raise bad_request("Invalid batch payload format.")
        item_id = item.get("id")
        if not isinstance(item_id, str) or not item_id or item_id in seen:
            raise GraphError(400, "BadRequest", "Request Id has to be unique in a batch.")
        if not set(item.get("dependsOn", ())) <= seen:
            raise GraphError(400, "BadRequest", "dependsOn names a request that is not before it.")
        seen.add(item_id)


async def _answer(
    outer: GraphRequest, item: dict[str, Any], statuses: dict[str, int], dispatch: Dispatch
) -> dict[str, Any]:
    if any(statuses[name] >= 400 for name in item.get("dependsOn", ())):
        return _refused(item, outer, 424, "FailedDependency", "A request it depends on failed.")
    method, url = item.get("method"), item.get("url")
    if not isinstance(method, str) or not isinstance(url, str) or not url:
        return _refused(item, outer, 400, "BadRequest", "method and url are needed.")
    if "://" in url:
        return _refused(item, outer, 400, "BadRequest", "The url must be relative.")
    path, query = split_url("/" + url.lstrip("/"))
    headers = {str(k).lower(): str(v) for k, v in item.get("headers", {}).items()}
    body = item.get("body")
    if path == "/$batch":
        return _refused(item, outer, 400, "BadRequest", "A batch cannot be nested.")
    answer = await dispatch(
        GraphRequest(
            method.upper(),
            VERSION + path,
            query,
            headers,
            b"" if body is None else orjson.dumps(body),
            outer.tenant,
            outer.caller,
            inside_batch=True,
            by_sdk=outer.by_sdk,
        )
    )
    return _response(item["id"], answer)


def _response(item_id: str, answer: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {
        "id": item_id,
        "status": answer.status,
        "headers": {**answer.headers, "Content-Type": answer.content_type},
    }
    if answer.body:
        # Anything but JSON is put into a batch answer as base64 text.
        is_json = "json" in answer.content_type
        response["body"] = (
            orjson.loads(answer.body) if is_json else base64.b64encode(answer.body).decode()
        )
    return response


def _refused(
    item: dict[str, Any], outer: GraphRequest, status: int, code: str, message: str
) -> dict[str, Any]:
    client_id = outer.headers.get("client-request-id", outer.id)
    answer = Answer(status, error_body(code, message, outer.id, client_id))
    return _response(item["id"], answer)
