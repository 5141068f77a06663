"""Query options of a list request: the query string or the link's state in, checked options out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.graph.http.access import READ_AUDIT_LOG
from local.graph.http.errors import (
    GraphError,
    bad_request,
    needs_advanced,
    no_advanced_queries,
    no_premium_licence,
    permission_missing,
    unsupported_query,
)
from local.graph.http.messages import GraphRequest
from local.graph.odata.paging import Links, expired_page, only_token
from local.graph.odata.properties import SINGLE_USER_ONLY

MAX_TOP = 999
# Of the whole address of an advanced query with a filter; what Graph answers beyond is not documented.
# github.com/microsoftgraph/microsoft-graph-docs/pull/22097
MAX_ADDRESS = 2048
DEFAULT_TOP = 100
# With $expand a page holds no more, whatever $top says, and nothing tells so:
# techcommunity.microsoft.com, discussions/officegraph 3885391 and 4203190.
MAX_EXPANDED_TOP = 100
# learn.microsoft.com/graph/api/user-list, with signInActivity.
MAX_ACTIVITY_TOP = 500
_KNOWN = frozenset(
    ("$select", "$top", "$filter", "$search", "$count", "$orderby", "$expand", "$skip",
     "$skiptoken", "$deltatoken", "$format")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ListOptions:
    select: tuple[str, ...] | None
    top: int
    filter: str | None
    search: str | None
    orderby: str | None
    expands_manager: bool
    wants_count: bool
    advanced: bool
    """ConsistencyLevel: eventual and $count=true, both."""
    is_eventual: bool
    position: Any
    page: int
    hidden: frozenset[str]
    """Attributes that the caller sees as null."""
    state: Mapping[str, Any]
    """What a link to a further page has to carry, apart from position and page."""

    def next_state(self, position: Any) -> dict[str, Any]:
        return {**self.state, "at": position, "page": self.page + 1}

    def here_state(self) -> dict[str, Any]:
        return {**self.state, "at": self.position, "page": self.page}


def read_options(
    request: GraphRequest,
    links: Links,
    *,
    allowed: frozenset[str],
    known: frozenset[str],
    resource: str,
) -> ListOptions:
    """``allowed`` are the options this collection takes besides $skiptoken."""
    query = request.query
    position: Any = None
    page = 1
    if "$skiptoken" in query:
        state = links.read(request.path, only_token(request, "$skiptoken"))
        if state is None:
            raise expired_page()
        query, position, page = state["query"], state["at"], state["page"]
        # The header is not part of a link: concepts/paging.md, and the error that
        # github.com/microsoftgraph/msgraph-sdk-java/issues/368 reports.
        if state["advanced"] and not request.is_eventual:
            raise expired_page()
    else:
        refuse_unknown(query, allowed)
        address = f"{links.graph_url}{request.path}?{request.raw_query}"
        if request.is_eventual and "$filter" in query and len(address) > MAX_ADDRESS:
            raise bad_request(
                f"The address has {len(address)} of at most {MAX_ADDRESS} characters."
            )
    eventual = request.is_eventual
    wants_count = _count(query)
    if not request.tenant.advanced_queries and eventual and (wants_count or "$search" in query):
        raise no_advanced_queries()
    expands_manager = expands_the_manager(request, query)
    select = parse_select(query.get("$select"), known, resource, is_list=True)
    need_own_permissions(request, select)
    return ListOptions(
        select=select,
        top=min(_top(query.get("$top")), _most_on_a_page(select, expands_manager)),
        filter=_filled(query, "$filter"),
        search=_filled(query, "$search"),
        orderby=_filled(query, "$orderby"),
        expands_manager=expands_manager,
        wants_count=wants_count,
        advanced=eventual and wants_count,
        is_eventual=eventual,
        position=position,
        page=page,
        hidden=request.hidden,
        state={
            "query": query,
            "advanced": eventual and (wants_count or "$search" in query),
        },
    )


def need_own_permissions(request: GraphRequest, select: tuple[str, ...] | None) -> None:
    """Refuse signInActivity to who may not read audit logs, and in tenants without a premium licence.

    learn.microsoft.com/graph/api/resources/user; microsoft-graph-docs-contrib/issues/3507
    """
    if "signInActivity" not in (select or ()):
        return
    if not request.caller.may(READ_AUDIT_LOG):
        raise permission_missing("AuditLog.Read.All")
    if not request.tenant.premium:
        raise no_premium_licence()


def _most_on_a_page(select: tuple[str, ...] | None, expands_manager: bool) -> int:
    if expands_manager:
        return MAX_EXPANDED_TOP
    return MAX_ACTIVITY_TOP if "signInActivity" in (select or ()) else MAX_TOP


def refuse_unknown(query: Mapping[str, str], allowed: frozenset[str]) -> None:
    for name in query:
        if name in allowed:
            continue
        if name == "$skip":
            raise bad_request("'$skip' is not supported by the service.")
        if name == "$expand":
            raise unsupported_query("'$expand' is not supported here.")
        if name in _KNOWN:
            raise bad_request(f"The query option '{name}' is not supported here.")
        raise bad_request(f"Unrecognized query argument specified: '{name}'.")


def expands_the_manager(request: GraphRequest, query: Mapping[str, str]) -> bool:
    """Tell whether $expand asks for the manager; anything else that it asks is refused.

    Nested options are refused, too: "no support for nesting other query parameters" stands in Graph's
    known issues (developer.microsoft.com/graph/known-issues, 13635), while user-list-manager shows
    $select together with $levels.
    """
    text = query.get("$expand")
    if text is None:
        return False
    if request.is_eventual:
        # learn.microsoft.com/graph/aad-advanced-queries: no $expand in advanced queries.
        raise unsupported_query("'$expand' is not supported with ConsistencyLevel: eventual.")
    if "$levels" in text:
        # The sentence of github.com/microsoftgraph/microsoft-graph-docs/issues/18615.
        raise unsupported_query(
            "Transitive manager's list is only supported on a single user, send the $expand request "
            "on /users/{id} endpoint"
        )
    if text.startswith("manager("):
        # The answer of github.com/microsoftgraph/microsoft-graph-docs/issues/13500.
        raise bad_request("Invalid $select properties.")
    if text != "manager":
        raise unsupported_query(f"'$expand={text}' is not supported here.")
    return True


def parse_select(
    text: str | None, known: frozenset[str], resource: str, *, is_list: bool
) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if resource == "user" and name in SINGLE_USER_ONLY:
            if is_list:
                raise GraphError(
                    501, "NotImplemented", "This operation target is not yet supported."
                )
            continue
        if name not in known:
            raise GraphError(
                400,
                "BadRequest",
                "Parsing OData Select and Expand failed: Could not find a property named "
                f"'{name}' on type 'microsoft.graph.{resource}'.",
            )
    return names


def need_pair(options: ListOptions, what: str) -> None:
    if not options.advanced:
        raise needs_advanced(what)


def need_eventual_for_search(options: ListOptions) -> None:
    """$search is the one advanced option that does without $count."""
    if options.search is not None and not options.is_eventual:
        raise unsupported_query(
            "Request with $search query parameter only works through MSGraph with a special "
            "request header: 'ConsistencyLevel: eventual'"
        )


def _top(text: str | None) -> int:
    if text is None:
        return DEFAULT_TOP
    if not text.isdecimal() or not 1 <= int(text) <= MAX_TOP:
        raise unsupported_query(
            f"Invalid page size specified: '{text}'. Must be between 1 and {MAX_TOP} inclusive."
        )
    return int(text)


def _count(query: Mapping[str, str]) -> bool:
    text = query.get("$count", "false")
    if text.lower() not in ("true", "false"):
        raise bad_request(f"Invalid value '{text}' for $count query option found.")
    return text.lower() == "true"


def _filled(query: Mapping[str, str], name: str) -> str | None:
    text = query.get(name)
    if text is not None and not text.strip():
        raise bad_request(f"The query option '{name}' is empty.")
    return text
