"""A round of a delta query: a first request or a link in, what to tell and where to go on out.

Facts: learn.microsoft.com/graph/delta-query-overview (2025-04-30), user-delta and group-delta.
"""

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from local.graph.directory.recent import Recent
from local.graph.http.errors import GraphError, unsupported_query
from local.graph.http.messages import Answer, GraphRequest
from local.graph.odata.options import parse_select, refuse_unknown
from local.graph.odata.paging import Link, Links, only_token, page_answer
from local.graph.odata.properties import SINGLE_USER_ONLY

T = TypeVar("T")
LIFETIME_S = 7 * 86400
LATEST = "latest"
_ALLOWED = frozenset(("$select", "$filter", "$deltatoken"))
_MAX_IDS = 50
_CLAUSE = re.compile(r"id eq '([0-9A-Fa-f-]{36})'")


@dataclass(frozen=True, slots=True)
class Round:
    select: tuple[str, ...] | None
    ids: tuple[str, ...] | None
    """Only these objects are tracked."""
    is_first: bool
    since: int
    """The version of the directory that the round starts from; 0 in a first round."""
    until: int
    """The version when the round began: where the next one starts from."""
    at: Any
    page: int
    born_s: int
    """When the round began: the age of its deltaLink."""
    asked_s: int
    """When this page was asked for: the age of its nextLink."""
    minimal: bool
    lags: bool = False
    """Whether newer changes were left for a later round when this one began."""
    hidden: frozenset[str] = frozenset()
    """Attributes that the caller may not see; not part of the link, as permissions come and go."""
    sync_from_now: bool = False

    def state(self) -> dict[str, Any]:
        return {
            "select": self.select,
            "ids": self.ids,
            "first": self.is_first,
            "since": self.since,
            "until": self.until,
            "at": self.at,
            "page": self.page,
            "born": self.born_s,
            "asked": self.asked_s,
            "lags": self.lags,
        }


class Rounds:
    """The changes of the last few rounds, gathered once for all of their pages."""

    def __init__(self) -> None:
        self._recent: Recent[Any] = Recent(8)

    def changes(self, key: tuple[object, ...], gather: Callable[[], T]) -> T:
        found: T = self._recent.get(key, gather)
        return found


@dataclass(frozen=True, slots=True)
class Terms:
    """What is decided outside of a round."""

    now_s: int
    newest: Callable[[], int]
    """The version up to which a new round tells."""
    lost_status: int
    """What a link is answered with that is too old or not known."""
    next_link_life_s: float


def read_round(
    request: GraphRequest, links: Links, *, known: frozenset[str], resource: str, terms: Terms
) -> Round:
    if not request.tenant.advanced_queries:
        # A tenant of Azure AD B2C: microsoft-graph-docs-contrib/issues/7430.
        raise unsupported_query("Change enumeration is not supported for requested tenant.")
    version = request.tenant.directory.version
    for name in ("$skiptoken", "$deltatoken"):
        token = request.query.get(name)
        if token and token != LATEST:
            going_on = _going_on(request, links, name, terms)
            return going_on if name == "$skiptoken" else _next_round(going_on, version, terms)
    refuse_unknown(request.query, _ALLOWED)
    _refuse_untracked(request.query.get("$select"), request.tenant.refused_in_delta)
    until = terms.newest()
    return Round(
        select=parse_select(request.query.get("$select"), known, resource, is_list=True),
        ids=_tracked_ids(request.query.get("$filter")),
        is_first=True,
        since=0,
        until=until,
        at=None,
        page=1,
        born_s=terms.now_s,
        asked_s=terms.now_s,
        minimal=False,
        lags=until < version,
        hidden=request.hidden,
        sync_from_now=request.query.get("$deltatoken") == LATEST,
    )


def _going_on(request: GraphRequest, links: Links, name: str, terms: Terms) -> Round:
    """The round that a link belongs to, which is refused when it is too old."""
    state = links.read(request.path, only_token(request, name))
    if state is None:
        raise _start_again(request, links, "syncStateNotFound", None, terms.lost_status)
    is_late = terms.now_s - state["born"] > LIFETIME_S
    if name == "$skiptoken":
        is_late = is_late or terms.now_s - state["asked"] > terms.next_link_life_s
    if is_late:
        raise _start_again(request, links, "resyncRequired", state, terms.lost_status)
    return _from_state(state, request, terms.now_s)


def _refuse_untracked(select: str | None, refused: AbstractSet[str]) -> None:
    """What is kept outside of the directory is refused by name, and what the tenant was told to refuse.

    github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/3189 (signInActivity),
    microsoft-graph-docs/issues/14141 (birthday, with the sentence), /4746 (skills, aboutMe)
    """
    names = {name.strip() for name in (select or "").split(",")}
    untracked = sorted(names & (SINGLE_USER_ONLY | {"signInActivity"} | refused))
    if untracked:
        raise GraphError(
            400,
            "BadRequest",
            "Invalid request for delta query: for this entity set, $expand/$select is not supported for "
            f"the following properties: {', '.join(untracked)}",
        )


def _from_state(state: dict[str, Any], request: GraphRequest, now_s: int) -> Round:
    prefer = request.headers.get("prefer", "").replace(" ", "").lower()
    return Round(
        select=None if state["select"] is None else tuple(state["select"]),
        ids=None if state["ids"] is None else tuple(state["ids"]),
        is_first=state["first"],
        since=state["since"],
        until=state["until"],
        at=state["at"],
        page=state["page"],
        born_s=state["born"],
        asked_s=now_s,
        minimal="return=minimal" in prefer,
        lags=state["lags"],
        hidden=request.hidden,
    )


def _next_round(finished: Round, version: int, terms: Terms) -> Round:
    # Where the round before was ahead, this one tells nothing: nothing is lost, nothing comes twice.
    until = max(finished.until, terms.newest())
    return replace(
        finished,
        is_first=False,
        since=finished.until,
        until=until,
        lags=until < version,
        at=None,
        page=1,
        born_s=terms.now_s,
    )


def _start_again(
    request: GraphRequest, links: Links, code: str, state: dict[str, Any] | None, status: int
) -> GraphError:
    """410, or another status, with the request to start with, an empty token in it."""
    select = state["select"] if state else None
    query = f"$select={','.join(select)}&$deltatoken=" if select else "$deltatoken="
    return GraphError(
        status,
        code,
        "The sync state is not found or has expired. Start again without a token.",
        {"Location": f"{links.graph_url}{request.path}?{query}"},
    )


def _tracked_ids(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    clauses = [_CLAUSE.fullmatch(clause.strip()) for clause in text.split(" or ")]
    if None in clauses:
        raise unsupported_query(
            "The only supported $filter of a delta query is: id eq '{id}' or id eq '{id}'."
        )
    if len(clauses) > _MAX_IDS:
        raise unsupported_query(
            f"Too many ids in $filter: {len(clauses)}. Max allowed: {_MAX_IDS}."
        )
    return tuple(clause.group(1).lower() for clause in clauses if clause)


def round_answer(
    request: GraphRequest,
    links: Links,
    current: Round,
    *,
    context: str,
    items: list[bytes],
    onward: Any,
) -> Answer:
    """``onward`` is where the next page starts; None ends the round with a deltaLink."""
    if onward is None:
        done = replace(current, at=None, page=1)
        link: Link = ("@odata.deltaLink", links.delta_link(request.path, done.state()))
    else:
        following = replace(current, at=onward, page=current.page + 1)
        link = ("@odata.nextLink", links.next_link(request.path, following.state()))
    answer = page_answer(
        request, links, context=context, items=items, link=link, here=current.state()
    )
    if current.minimal and not current.is_first:
        answer.headers["Preference-Applied"] = "return=minimal"
    return answer
