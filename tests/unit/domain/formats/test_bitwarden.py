"""Filters of Bitwarden's Directory Connector: what is taken, and that nobody comes in who did not there."""

from collections.abc import Set as AbstractSet
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import Invalid
from sync_core.domain.formats.bitwarden import USER_FILTER, import_filters
from sync_core.domain.formats.parts import Imported
from sync_core.domain.mapping.compile import mapping_problems
from sync_core.domain.scope.compile import compile_scope, scope_problems
from tests.unit.builders import ADMINS, GUID, NO_GROUPS, SALES, connection, mapped

Json = dict[str, Any]


def ready(imported: Imported) -> Connection:
    """Put the result into a connection, as an administrator would."""
    parts = {"scope": imported.scope, "mapping": imported.mapping, "matching": imported.matching}
    made = connection(**parts)
    assert scope_problems(made.scope) == []
    assert mapping_problems(made.mapping) == []
    return made


def comes_in(user_filter: str, person: Json, *groups: str) -> bool:
    compiled = compile_scope(ready(import_filters(user_filter)).scope)
    return compiled.matches(person, frozenset(groups))


def notes(imported: Imported, path: str = USER_FILTER) -> str:
    return "\n".join(one.message for one in imported.notes if one.path == path)


def person(mail: str | None, name: str = "ann@contoso.com", kind: str = "Member") -> Json:
    return {"id": GUID, "mail": mail, "userPrincipalName": name, "userType": kind}


ANN = person("ann@contoso.com")
BOB = person("bob@contoso.com", "b@contoso.com")


# --- who comes in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user_filter", "ann", "groups", "expected"),
    [
        pytest.param("include:ann@contoso.com", ANN, NO_GROUPS, True, id="named"),
        pytest.param("include:bob@contoso.com", ANN, NO_GROUPS, False, id="not named"),
        pytest.param("include:ann@contoso_com", ANN, NO_GROUPS, False, id="no pattern"),
        pytest.param("include:nn@contoso.com", ANN, NO_GROUPS, False, id="end of an address"),
        pytest.param("include:ann@contoso.co", ANN, NO_GROUPS, False, id="begin of an address"),
        pytest.param(" Include : x@y.z , ANN@contoso.COM,", ANN, NO_GROUPS, True, id="blanks, case"),
        pytest.param("exclude:ann@contoso.com", ANN, NO_GROUPS, False, id="excluded"),
        pytest.param("exclude:Ann@Contoso.com", ANN, NO_GROUPS, False, id="excluded in any case"),
        pytest.param("exclude:b@contoso.com", BOB, NO_GROUPS, True, id="mail counts, not the name"),
        pytest.param("exclude:bob@contoso.com", BOB, NO_GROUPS, False, id="by mail"),
        pytest.param("exclude:b@contoso.com", person(None, "b@contoso.com"), NO_GROUPS, False, id="by name"),
        pytest.param(f"includeGroup:{SALES}", ANN, {SALES}, True, id="in the group"),
        pytest.param(f"includeGroup:{SALES}", ANN, {ADMINS}, False, id="in another group"),
        pytest.param(f"INCLUDEGROUP:{ADMINS},{SALES.upper()}", ANN, {SALES}, True, id="either group"),
        pytest.param(f"excludeGroup:{SALES}", ANN, {SALES}, False, id="in the excluded group"),
        pytest.param(f"excludeGroup:{SALES}", ANN, NO_GROUPS, True, id="in no group"),
    ],
)  # fmt: skip
def test_who_comes_in(
    user_filter: str, ann: Json, groups: AbstractSet[str], *, expected: bool
) -> None:
    assert comes_in(user_filter, ann, *groups) is expected


COMBINED = (
    f"includeGroup:{SALES}|excludeGroup:{ADMINS}|excludeGroup:{GUID}|exclude:ann@contoso.com|"
)


@pytest.mark.parametrize(
    ("bob", "groups", "expected"),
    [
        pytest.param(BOB, {SALES}, True, id="in"),
        pytest.param(BOB, {SALES, ADMINS}, False, id="out by a group"),
        pytest.param(BOB, {SALES, GUID}, False, id="out by the next group"),
        pytest.param(ANN, {SALES}, False, id="out by address"),
        pytest.param(BOB, NO_GROUPS, False, id="not in the group"),
    ],
)
def test_clauses_after_the_first_take_people_out(
    bob: Json, groups: AbstractSet[str], *, expected: bool
) -> None:
    assert comes_in(COMBINED, bob, *groups) is expected


@pytest.mark.parametrize(
    ("mail", "name", "kind", "expected"),
    [
        pytest.param("g@fabrikam.com", "g_fabrikam.com#EXT#@contoso.com", "Member", True, id="own mail"),
        pytest.param(None, "g_fabrikam.com#EXT#@contoso.com", "Member", False, id="no mail"),
        pytest.param("", "g_fabrikam.com#EXT#@contoso.com", "Member", False, id="empty mail"),
        pytest.param("g#1@contoso.com", "g@contoso.com", "Member", False, id="# in mail"),
        pytest.param("g@contoso.onmicrosoft.com", "g#EXT#@c.com", "Member", False, id="placeholder"),
        pytest.param("g@contoso.onmicrosoft.com", "g@contoso.com", "Member", True, id="name instead"),
        pytest.param("a" * 245 + "@contoso.com", "g@contoso.com", "Member", False, id="too long"),
        pytest.param("a" * 244 + "@contoso.com", "g@contoso.com", "Member", True, id="long"),
        pytest.param("g@fabrikam.com", "g_fabrikam.com#EXT#@contoso.com", "Guest", False, id="guest"),
    ],
)  # fmt: skip
def test_nobody_comes_in_without_an_address_that_bitwarden_takes(
    mail: str | None, name: str, kind: str, *, expected: bool
) -> None:
    """Guests wait for the administrator's choice, who is told of it."""
    assert comes_in("exclude:somebody@else.com", person(mail, name, kind)) is expected


def theirs(user_filter: str, mail: str | None, name: str, groups: AbstractSet[str]) -> bool:
    """Judge one address and one clause after the other, as the Directory Connector's source does.

    Every later clause takes people out here; there it does so after `includeGroup`.
    """
    address = name if not mail or "onmicrosoft.com" in mail else mail
    address = address.lower()
    if "#" in address or len(address) > 256:
        return False
    for clause in user_filter.split("|"):
        keyword, listed = clause.split(":")
        values = set(listed.lower().split(","))
        by_group = keyword.endswith("Group")
        found = bool(values & groups) if by_group else address in values
        if found is not keyword.startswith("include"):
            return False
    return True


ADDRESSES = st.sampled_from(
    [
        "ann@contoso.com",
        "Ann@Contoso.com",
        "b-o.b+1@contoso.com",
        "a@c.onmicrosoft.com",
        "g_x.com#EXT#@c.com",
    ]
)
GROUP_SETS = st.frozensets(st.sampled_from([SALES, ADMINS, GUID]))


def clauses_of(keyword: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3).map(lambda many: f"{keyword}:{','.join(many)}")


GROUPS = st.sampled_from([SALES, ADMINS])
FIRST = st.one_of(
    clauses_of("include", ADDRESSES),
    clauses_of("exclude", ADDRESSES),
    clauses_of("includeGroup", GROUPS),
    clauses_of("excludeGroup", GROUPS),
)
LATER = st.one_of(clauses_of("exclude", ADDRESSES), clauses_of("excludeGroup", GROUPS))
FILTERS = st.tuples(FIRST, st.lists(LATER, max_size=2)).map(lambda two: "|".join([two[0], *two[1]]))


@given(FILTERS, st.none() | st.just("") | ADDRESSES, ADDRESSES, GROUP_SETS)
def test_the_same_people_come_in_here_and_there(
    user_filter: str, mail: str | None, name: str, groups: AbstractSet[str]
) -> None:
    here = comes_in(user_filter, person(mail, name), *groups)

    assert here is theirs(user_filter, mail, name, groups)


# --- what the rows hold ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mail", "email"),
    [
        pytest.param(" Bob@Contoso.com", "bob@contoso.com", id="mail"),
        pytest.param(None, "ann@contoso.com", id="no mail"),
        pytest.param("", "ann@contoso.com", id="empty mail"),
        pytest.param("x@contoso.onmicrosoft.com", "ann@contoso.com", id="placeholder"),
        pytest.param("x@contoso.OnMicrosoft.com", "x@contoso.onmicrosoft.com", id="in other letters"),
    ],
)  # fmt: skip
def test_the_address_is_bitwardens(mail: str | None, email: str) -> None:
    made = ready(import_filters(f"includeGroup:{SALES}"))

    values = mapped(person(mail, "Ann@contoso.com") | {"displayName": "Ann"}, *made.mapping).values
    assert values == {
        "userName": "Ann@contoso.com",
        "email": email,
        "displayName": "Ann",
        "externalId": GUID,
    }
    assert made.matching == ["externalId"]


# --- what cannot be taken -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user_filter", "words"),
    [
        pytest.param("includeGroup:Sales", "'sales' is none", id="group by name"),
        pytest.param(f"includeGroup:{SALES},Sales EU", "'sales eu' is none", id="one group by name"),
        pytest.param(f"includeGroup:{SALES}|excludeGroup:Admins", "'admins' is none", id="later"),
        pytest.param(f"includeadministrativeunit:{SALES}", "administrative units", id="unit"),
        pytest.param(
            f"includeGroup:{SALES}|excludeAdministrativeUnit:x", "administrative units", id="later unit"
        ),
        pytest.param(f"includeGroup:{SALES}|includeGroup:{ADMINS}", "first clause only", id="two groups"),
        pytest.param(f"exclude:a@b.c|include:{SALES}", "first clause only", id="included later"),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_taken_leaves_nobody_in(user_filter: str, words: str) -> None:
    imported = import_filters(user_filter)

    ready(imported)
    assert imported.scope == {"filters": [], "guests": "exclude", "everyone": False}
    assert words in notes(imported)
    assert "nobody is chosen" in notes(imported)


@pytest.mark.parametrize(
    ("group_filter", "words"),
    [
        pytest.param("include:Group A,Sales People", "names are no ids", id="names"),
        pytest.param("exclude:Developers", "names are no ids", id="excluded names"),
        pytest.param(f"includeadministrativeunit:{SALES}", "administrative units", id="unit"),
        pytest.param(f"includeGroup:{SALES}", "belongs into the user filter", id="wrong place"),
    ],
)
def test_a_group_filter_limits_people_in_a_way_that_is_not_ours(
    group_filter: str, words: str
) -> None:
    imported = import_filters(f"includeGroup:{SALES}", group_filter)

    ready(imported)
    assert imported.scope["filters"] == []
    assert words in notes(imported, "groupFilter")
    assert "nobody is chosen" in notes(imported)


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_filter_does_not_become_everybody_by_itself(empty: str) -> None:
    imported = import_filters(empty)

    assert imported.scope == {"filters": [], "guests": "exclude", "everyone": False}
    assert 'set "everyone": true' in notes(imported)
    ready(imported)


@pytest.mark.parametrize(
    ("user_filter", "words"),
    [
        pytest.param(
            "exclude:a@b.c|excludeGroup:" + SALES, "character 15, excludeGroup", id="later"
        ),
        pytest.param("exclude:Ann Example,a@b.c", "'ann example' is no address", id="a name"),
        pytest.param("exclude:a@b.c", "three filters", id="three filters"),
        pytest.param("exclude:a@b.c", '"guests": "include"', id="guests"),
        pytest.param("exclude:a@b.c", "overwriteExisting", id="leavers"),
        pytest.param("exclude:a@b.c", "removeDisabled", id="blocked"),
        pytest.param("exclude:a@b.c", "externalId", id="matching"),
    ],
)
def test_what_differs_is_noted(user_filter: str, words: str) -> None:
    assert words in notes(import_filters(user_filter))


def test_a_filter_that_is_taken_whole_says_nothing_of_parts() -> None:
    told = notes(import_filters(f"includeGroup:{SALES}"))

    assert "no filter was taken" not in told
    assert "later clause" not in told
    assert "is no address" not in told


def test_the_longest_filter_makes_a_usable_scope() -> None:
    """A pattern of all its addresses is within what regular expressions may take."""
    many = ",".join(f"person.{number}@contoso.com" for number in range(2000))
    assert 45_000 < len(many) < 50_000

    assert not comes_in(f"exclude:{many}", person("person.1999@contoso.com"))


# --- what is no filter ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user_filter", "words"),
    [
        pytest.param("includeGroups:x", "1: 'includeGroups' is no keyword; did you mean", id="typo"),
        pytest.param("startswith(displayName,'J')", "begins with one of include, exclude,", id="OData"),
        pytest.param(f"includeGroup:{SALES}| x:y", "character 52: 'x' is no keyword", id="later clause"),
        pytest.param("include", "character 1: include has 0 colons", id="no colon"),
        pytest.param("include:a:b", "include has 2 colons", id="two colons"),
        pytest.param("exclude: , ", "exclude has no values", id="no values"),
        pytest.param("|exclude:a@b.c", "character 1: there is no clause before", id="nothing first"),
    ],
)  # fmt: skip
def test_what_the_directory_connector_cannot_read_is_refused(user_filter: str, words: str) -> None:
    """It would let everybody in, or forget a clause, and say nothing."""
    with pytest.raises(Invalid) as caught:
        import_filters(user_filter)

    (problem,) = caught.value.problems
    assert problem.path == "userFilter"
    assert words in problem.message
    assert "more people" in caught.value.remedy


def test_a_group_filter_that_cannot_be_read_is_refused_at_its_own_path() -> None:
    with pytest.raises(Invalid) as caught:
        import_filters("exclude:a@b.c", "Group A")

    assert [one.path for one in caught.value.problems] == ["groupFilter"]
