"""Which function answers: the real host's rules, apart from any server."""

from pathlib import Path
from typing import Any

import pytest

from local.host.application import Binding, Function
from local.host.configuration import ConfigurationError
from local.host.routing import Router

ADMIN = "{*rest:regex(^(?!(sync|graph/notifications|graph/lifecycle)/?$).*)}"


def function(name: str, route: str | None, methods: list[str] | None = None) -> Function:
    properties: dict[str, Any] = {"route": route, "methods": methods}
    trigger = Binding("req", "httpTrigger", properties)
    return Function(name, print, trigger, (), wants_context=False, directory=Path())


def router(*functions: Function) -> Router:
    return Router(sorted(functions, key=lambda f: f.name), "api")


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        pytest.param("items", "/api/items", {}, id="literal"),
        pytest.param("items", "/API/Items", {}, id="letters of any case"),
        pytest.param("items", "/api/items/", {}, id="slash at the end"),
        pytest.param("items", "/api/items/7", None, id="a segment too many"),
        pytest.param("items", "/items", None, id="without the prefix"),
        pytest.param("items/{id}", "/api/items/a%20b", {"id": "a b"}, id="decoded"),
        pytest.param("items/{id}", "/api/items/a%2Fb", {"id": "a%2Fb"}, id="but not a slash"),
        pytest.param("items/{id}", "/api/items/a%23EXT%23", {"id": "a#EXT#"}, id="guest's name"),
        pytest.param("items/{id}", "/api/items", None, id="parameter missing"),
        pytest.param("items/{id?}", "/api/items", {}, id="optional one missing"),
        pytest.param("items/{id=7}", "/api/items", {"id": "7"}, id="default"),
        pytest.param("items/{id:int}", "/api/items/x", None, id="int refuses letters"),
        pytest.param("items/{id:int?}", "/api/items/7", {"id": "7"}, id="optional int"),
        pytest.param("items/{id:int?}", "/api/items", {}, id="optional int missing"),
        pytest.param("i/{id:int:min(5)}", "/api/i/4", None, id="two constraints, one not met"),
        pytest.param("i/{id:int:min(5)}", "/api/i/5", {"id": "5"}, id="two constraints met"),
        pytest.param("i/{id:guid}", "/api/i/zz", None, id="no guid"),
        pytest.param("i/{id:length(2)}", "/api/i/zz", {"id": "zz"}, id="length"),
        pytest.param(
            "f/{name}.{ext}", "/api/f/a.txt", {"name": "a", "ext": "txt"}, id="two in one"
        ),
        pytest.param("{*rest}", "/api/a/b/", {"rest": "a/b/"}, id="catch-all"),
        pytest.param("{*rest}", "/api", {}, id="catch-all of nothing"),
        pytest.param("{**rest}", "/api/a/b", {"rest": "a/b"}, id="two stars"),
        pytest.param("i/{id:regex(^\\d{{2}}$)}", "/api/i/12", {"id": "12"}, id="doubled braces"),
        pytest.param("i/{id:regex(^\\d{{2}}$)}", "/api/i/123", None, id="regex refuses"),
        pytest.param(ADMIN, "/api/connections/a", {"rest": "connections/a"}, id="not excluded"),
        pytest.param(ADMIN, "/api/connections/a/sync", {"rest": "connections/a/sync"}, id="deeper"),
        pytest.param(ADMIN, "/api/sync", None, id="excluded"),
        pytest.param(ADMIN, "/api/SYNC/", None, id="excluded in any case"),
        pytest.param(ADMIN, "/api/graph/lifecycle", None, id="excluded with a slash in it"),
    ],
)
def test_templates(template: str, path: str, values: dict[str, str] | None) -> None:
    found = router(function("f", template)).find("GET", path)

    assert (found[1] if found else None) == values


def test_the_name_is_the_route_of_a_function_without_one() -> None:
    assert router(function("hello", None)).find("GET", "/api/hello") is not None


def test_the_first_name_wins_and_not_the_more_exact_route() -> None:
    """So it is in Azure: a catch-all called ``admin`` swallows what stands behind it."""
    found = router(function("admin", "{*rest}"), function("sync", "sync")).find("GET", "/api/sync")

    assert found is not None
    assert found[0].name == "admin"


def test_a_route_without_the_method_lets_the_next_one_try() -> None:
    functions = function("a", "x", ["post"]), function("b", "x", ["GET"])
    found = router(*functions).find("GET", "/api/x")

    assert found is not None
    assert found[0].name == "b"
    assert router(*functions).find("HEAD", "/api/x") is None


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("/items", id="slash at the start"),
        pytest.param("items/{id", id="brace not closed"),
        pytest.param("items/{id:prime}", id="constraint nobody knows"),
    ],
)
def test_templates_that_cannot_be_served(template: str) -> None:
    with pytest.raises(ConfigurationError):
        router(function("f", template))
