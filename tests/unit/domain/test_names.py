"""Sign-in names in a connection and whom they mean."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sync_core.domain.documents.connection import Connection
from sync_core.domain.names import (
    Bindings,
    BoundName,
    askable,
    asserted_ids,
    places,
    rebound,
    shown_names,
    unbound,
    with_ids,
)
from tests.system import connection

ANN, BEN = "a0000000-0000-4000-8000-00000000000a", "b0000000-0000-4000-8000-00000000000b"
NOW, EARLIER = datetime(2026, 11, 29, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


def naming(**changes: Any) -> Connection:
    everywhere: dict[str, Any] = {
        "scope": {"everyone": True, "exclude": ["svc@contoso.com", ANN]},
        "policy": {"protected": ["ann@contoso.com"]},
        "assertions": [
            {"in": "Ann@contoso.com"},
            {"never": "svc-*"},
            {"never": "old@contoso.com"},
            {"atLeast": 1},
        ],
    }
    return connection("contoso", **(everywhere | changes))


def known(*names: tuple[str, str | None]) -> Bindings:
    return Bindings(
        connection_id="contoso",
        tenant_id=naming().tenant_id,
        names=[
            BoundName(name=name, object_id=oid, bound_at=EARLIER if oid else None)
            for name, oid in names
        ],
    )


def test_names_are_bound_and_object_ids_and_patterns_are_not() -> None:
    assert [(place.path, place.name) for place in places(naming())] == [
        ("scope.exclude[0]", "svc@contoso.com"),
        ("policy.protected[0]", "ann@contoso.com"),
        ("assertions[0].in", "Ann@contoso.com"),
        ("assertions[2].never", "old@contoso.com"),
    ]


def test_what_is_found_is_bound_once_whatever_the_case_of_its_letters() -> None:
    found = rebound(naming(), known(), [("ANN@contoso.com", ANN)], NOW)

    assert shown_names(naming(), found) == [
        BoundName(name="svc@contoso.com"),
        BoundName(name="ann@contoso.com", object_id=ANN, bound_at=NOW),
        BoundName(name="old@contoso.com"),
    ]
    assert [place.path for place in unbound(naming(), found)] == [
        "scope.exclude[0]",
        "assertions[2].never",
    ]


@pytest.mark.parametrize(
    ("found", "bound"),
    [
        pytest.param([], [(ANN, EARLIER)], id="nobody has the name now"),
        pytest.param([("ann@contoso.com", ANN)], [(ANN, EARLIER)], id="still the same"),
        pytest.param([("ann@contoso.com", BEN)], [(ANN, EARLIER), (BEN, NOW)], id="another, too"),
    ],
)
def test_what_is_bound_stays_bound(
    found: list[tuple[str, str]], bound: list[tuple[str, datetime]]
) -> None:
    names = rebound(naming(), known(("ann@contoso.com", ANN)), found, NOW).names

    assert [(one.object_id, one.bound_at) for one in names if one.object_id] == bound


def test_a_name_that_the_connection_gives_up_is_forgotten() -> None:
    left = naming(policy={"protected": []}, assertions=[])

    assert rebound(left, known(("ann@contoso.com", ANN)), [], NOW).names == [
        BoundName(name="svc@contoso.com")
    ]


def test_in_another_tenant_nothing_is_known() -> None:
    elsewhere = naming(tenantId="99999999-2222-3333-4444-555555555555")
    bindings = known(("svc@contoso.com", ANN))

    assert with_ids(elsewhere, bindings) == elsewhere
    assert asserted_ids(elsewhere, bindings) == {}
    assert len(unbound(elsewhere, bindings)) == len(places(elsewhere))
    assert rebound(elsewhere, bindings, [], NOW).tenant_id == elsewhere.tenant_id


def test_the_excluded_count_by_id_and_the_protected_by_name_as_well() -> None:
    bindings = known(("svc@contoso.com", BEN), ("ann@contoso.com", ANN))
    read = with_ids(naming(), bindings)

    assert read.scope.exclude == [BEN, ANN]
    assert read.policy.protected == [ANN, "ann@contoso.com"]
    assert asserted_ids(naming(), bindings) == {"Ann@contoso.com": {ANN}}


def test_a_name_that_is_not_bound_counts_as_it_stands() -> None:
    assert with_ids(naming(), known()) == naming()


@pytest.mark.parametrize(
    "name",
    ["boss", "x" * 110 + "@contoso.com", "line\nbreak@contoso.com"],
    ids=["no address", "too long", "a line break"],
)
def test_a_text_that_no_account_can_have_is_not_asked_for(name: str) -> None:
    assert not askable(name)


def test_a_name_is_told_as_unknown_or_as_not_looked_up_yet() -> None:
    place = places(naming())[0]

    assert "nobody in the directory" in place.said(tried=True)
    assert "not looked up yet" in place.said(tried=False)


@pytest.mark.parametrize(("name", "tried"), [("SVC@contoso.com", True), ("x@contoso.com", False)])
def test_a_name_that_was_looked_up_in_vain_is_remembered(name: str, tried: bool) -> None:
    assert known(("svc@contoso.com", None)).is_tried(name) is tried
