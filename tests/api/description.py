"""The description of the API, built once, and what an answer has that it does not say."""

from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from sync_core.api.app import create_app
from sync_core.api.openapi import describe
from sync_core.services import Services

Call = tuple[str, str]
# Calls without a token.
OPEN = {
    ("GET", "/api/health"),
    ("GET", "/api/consent/callback"),
    ("GET", "/api/consent/result"),
}


async def _unused() -> Services:
    raise AssertionError("the routes are only described")


@cache
def described_app() -> FastAPI:
    """Return the app without services: its routes can be listed and described, not called."""
    return create_app(_unused)


def _routes() -> list[Call]:
    """Return the method and path of every route of the app."""
    app = described_app()
    assert all(isinstance(route, APIRoute) for route in app.routes)
    return [
        (method, route.path)
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or set())
    ]


ROUTES = _routes()


@cache
def description() -> dict[str, Any]:
    return describe(described_app())


def mismatches(value: Any, schema: str | dict[str, Any]) -> list[str]:
    """Compare names with a schema, as deep as its references lead; a text names a schema."""
    if isinstance(schema, str):
        return mismatches(value, description()["components"]["schemas"][schema])
    if "$ref" in schema:
        return mismatches(value, schema["$ref"].rpartition("/")[2])
    if isinstance(value, list):
        items = schema.get("items", {})
        return [mismatch for item in value for mismatch in mismatches(item, items)]
    known = schema.get("properties")
    if not isinstance(value, dict) or known is None:
        return []
    missing = set(schema.get("required", [])) - value.keys()
    found = [f"{name} is not described" for name in value.keys() - known.keys()]
    found += [f"{name} is missing" for name in missing]
    for name in value.keys() & known.keys():
        found += mismatches(value[name], known[name])
    return found
