"""What lists of users and of groups share: their options and cost, and one entity in its context."""

import orjson

from local.graph.directory.view import View
from local.graph.odata.options import ListOptions
from local.graph.service import Service

LIST_OPTIONS = frozenset(("$select", "$top", "$filter", "$search", "$count", "$orderby"))


def list_cost(base: int, options: ListOptions) -> int:
    """learn.microsoft.com/graph/throttling-limits: $select and a small $top save one, $expand adds one.

    So do those that a link carries.
    """
    query = options.state["query"]
    saved = ("$select" in query) + (int(query.get("$top", 100)) < 20)
    return max(1, base - saved + ("$expand" in query))


def lasting_places(directory: View) -> dict[str, int]:
    """The order of groups and other members: what comes or goes between two pages moves none of them."""
    return {
        object_id: place for place, object_id in enumerate((*directory.others, *directory.groups))
    }


def context(name: str, select: tuple[str, ...] | None) -> str:
    return f"{name}({','.join(select)})" if select else name


def entity(service: Service, where: str, item: bytes) -> bytes:
    head = orjson.dumps({"@odata.context": f"{service.links.graph_url}/v1.0/$metadata#{where}"})
    return head[:-1] + (b"," + item[1:] if len(item) > 2 else b"}")
