"""$filter: what each property can do, with and without the advanced pair."""

from urllib.parse import quote

import pytest

from local.graph.odata.selection import user_filter
from local.sample import COST_CENTER
from tests.rig.graph.conftest import Application, Document, error_code


def filtered(reader: Application, text: str, *, select: str = "id") -> list[Document]:
    return reader.items(f"/users?$filter={quote(text)}&$select={select}&$top=999")


def advanced(reader: Application, text: str, *, select: str = "id") -> list[Document]:
    return reader.items(
        f"/users?$filter={quote(text)}&$select={select}&$top=999&$count=true",
        ConsistencyLevel="eventual",
    )


DEFAULT_FILTERS = [
    "accountEnabled eq false",
    "userType eq 'Guest'",
    "department eq 'Sales'",
    "department in ('Sales', 'Finance')",
    "startsWith(displayName,'a')",
    "startswith(userPrincipalName,'a')",
    "startsWith(mail,'a')",
    "employeeId eq '100000'",
    "onPremisesSyncEnabled eq true",
    "createdDateTime ge 2020-01-01T00:00:00Z",
    "createdDateTime le 2020-01-01",
    "department eq 'Sales' and accountEnabled eq true",
    "(department eq 'Sales' or department eq 'Legal') and userType eq 'Member'",
    "proxyAddresses/any(p:p eq 'SMTP:shared.11@contoso.com')",
    "proxyAddresses/any(p:startsWith(p,'smtp:'))",
    "businessPhones/any(p:startsWith(p,'+41'))",
    f"{COST_CENTER} eq 'CC-1001'",
]
ADVANCED_FILTERS = [
    "department ne 'Sales'",
    "not startsWith(displayName,'a')",
    "NOT(accountEnabled eq true)",
    "endsWith(userPrincipalName,'#EXT#@contoso.onmicrosoft.com')",
    "endsWith(mail,'@gmail.com')",
    "companyName eq 'Contoso'",
    "startsWith(companyName,'Con')",
    "officeLocation eq '1/1'",
    "mobilePhone eq '1'",
    "onPremisesExtensionAttributes/extensionAttribute1 eq 'Internal'",
    "startsWith(onPremisesExtensionAttributes/extensionAttribute1,'Int')",
    "employeeType eq 'Contractor'",
    "preferredLanguage eq 'de-CH'",
    "employeeOrgData/division eq 'EMEA'",
    "employeeHireDate ge 2015-01-01T00:00:00Z",
    "mail eq null",
    "userType eq null",
    "department eq null",
    "employeeId eq null",
    "onPremisesSyncEnabled eq null",
    f"startsWith({COST_CENTER},'CC-10')",
    f"{COST_CENTER} eq null",
]


@pytest.mark.parametrize("text", DEFAULT_FILTERS)
def test_default_filters_work_by_themselves(reader: Application, text: str) -> None:
    found = filtered(reader, text)

    assert 0 < len(found) < 300


@pytest.mark.parametrize("text", ADVANCED_FILTERS)
def test_advanced_filters_need_the_pair(reader: Application, text: str) -> None:
    """Both halves: the header alone and the count alone are refused as well."""
    query = f"/users?$filter={quote(text)}"
    refused = [
        reader.ask(query),
        reader.ask(f"{query}&$count=true"),
        reader.eventual(query),
    ]

    assert [error_code(answer) for answer in refused] == ["Request_UnsupportedQuery"] * 3
    assert reader.eventual(f"{query}&$count=true").status_code == 200


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("shoeSize eq '44'", "BadRequest", id="unknown property"),
        pytest.param("aboutMe eq 'x'", "BadRequest", id="property of one user"),
        pytest.param("faxNumber eq '1'", "Request_UnsupportedQuery", id="not filterable"),
        pytest.param("contains(displayName,'a')", "Request_UnsupportedQuery", id="contains"),
        pytest.param("startsWith(userType,'G')", "Request_UnsupportedQuery", id="no startsWith"),
        pytest.param("endsWith(displayName,'a')", "Request_UnsupportedQuery", id="no endsWith"),
        pytest.param("department ge 'A'", "Request_UnsupportedQuery", id="no order"),
        pytest.param("department gt 'A'", "BadRequest", id="gt"),
        pytest.param("businessPhones eq '1'", "Request_UnsupportedQuery", id="a collection"),
        pytest.param("department/any(d:d eq 'x')", "Request_UnsupportedQuery", id="no collection"),
        pytest.param("proxyAddresses/all(p:p eq 'x')", "Request_UnsupportedQuery", id="all"),
        pytest.param("proxyAddresses/any(p:q eq 'x')", "BadRequest", id="another variable"),
        pytest.param("accountEnabled eq 'true'", "BadRequest", id="text for a boolean"),
        pytest.param("department eq true", "BadRequest", id="boolean for a text"),
        pytest.param("department eq Sales", "BadRequest", id="no quotes"),
        pytest.param("department eq 'O'Brien'", "BadRequest", id="apostrophe not doubled"),
        pytest.param("createdDateTime ge '2020-01-01'", "BadRequest", id="date in quotes"),
        pytest.param("department eq", "BadRequest", id="ends too early"),
        pytest.param("(department eq 'x'", "BadRequest", id="no closing parenthesis"),
        pytest.param("department eq 'x' xor mail eq 'y'", "BadRequest", id="unknown word"),
        pytest.param("department eq 'x';", "BadRequest", id="unknown sign"),
        pytest.param("employeeType eq null", "Request_UnsupportedQuery", id="no null"),
        pytest.param("id eq 'ann'", "Request_BadRequest", id="no id"),
        pytest.param("id in ('ann')", "Request_BadRequest", id="no id in a list"),
        pytest.param("createdDateTime ge 2020-13-01", "BadRequest", id="no date"),
    ],
)
def test_what_no_pair_can_help_is_refused(reader: Application, text: str, code: str) -> None:
    answer = reader.eventual(f"/users?$filter={quote(text)}&$count=true")

    assert (answer.status_code, error_code(answer)) == (400, code)


def list_of(count: int) -> str:
    return ",".join(f"'{n}'" for n in range(count))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        pytest.param(f"department in ({list_of(15)})", 200, id="in 15"),
        pytest.param(f"department in ({list_of(16)})", 400, id="in 16"),
        pytest.param(" or ".join(["city eq 'a'"] * 15), 200, id="or 15"),
        pytest.param(" or ".join(["city eq 'a'"] * 16), 400, id="or 16"),
        pytest.param(f"department eq '{'x' * 120}'", 200, id="eq 120 characters"),
        pytest.param(f"department eq '{'x' * 121}'", 400, id="eq 121 characters"),
        pytest.param(f"department in ('a','{'x' * 121}')", 400, id="in, 121 characters"),
        pytest.param(f"startsWith(mail,'{'x' * 120}')", 200, id="startsWith 120 characters"),
        pytest.param(f"startsWith(mail,'{'x' * 121}')", 400, id="startsWith 121 characters"),
        pytest.param(
            f"otherMails/any(m:m eq '{'x' * 121}')", 400, id="one of a list, 121 characters"
        ),
        pytest.param(f"city in ({list_of(8)}) or city in ({list_of(8)})", 400, id="or of in 16"),
        pytest.param("(city eq 'a' and mail eq 'b') or mail eq 'c'", 200, id="height 3"),
        pytest.param(
            "mail eq 'a' and (mail eq 'b' or (mail eq 'c' and city eq 'd'))", 400, id="height 4"
        ),
        pytest.param("city in ('a','b') and mail eq 'c'", 200, id="in has a height, too"),
        pytest.param("(city in ('a','b') and mail eq 'c') or mail eq 'd'", 400, id="in makes it 4"),
        pytest.param("mail eq 'a' or (mail eq 'b' or mail eq 'c')", 200, id="or in or is one"),
    ],
)
def test_default_limits_fall_with_the_pair(reader: Application, text: str, status: int) -> None:
    query = f"/users?$filter={quote(text)}"

    assert reader.ask(query).status_code == status
    assert reader.eventual(f"{query}&$count=true").status_code == 200


def test_text_is_compared_without_regard_to_case(reader: Application) -> None:
    assert filtered(reader, "department eq 'SALES'") == filtered(reader, "department eq 'Sales'")


def test_an_advanced_query_has_a_longest_address(reader: Application) -> None:
    short, long = (f"department in ({list_of(count)})" for count in (50, 500))
    query = "/users?$count=true&$filter="

    assert reader.eventual(query + quote(short)).status_code == 200
    assert error_code(reader.eventual(query + quote(long))) == "Request_BadRequest"


@pytest.mark.parametrize(
    ("text", "held", "found"),
    [
        pytest.param("surname eq 'ÉLAN'", "élan", True, id="pair of letters"),
        pytest.param("startsWith(surname,'Él')", "élan", True, id="begin"),
        pytest.param("surname eq 'STRASSE'", "straße", False, id="one letter is not two"),
        pytest.param("surname eq 'kelvin'", "\N{KELVIN SIGN}elvin", False, id="no ASCII letter"),
    ],
)
def test_beyond_ascii_only_pairs_of_letters_are_the_same(text: str, held: str, found: bool) -> None:
    """Less than any service is likely to do, so that nobody comes to rely on more."""
    parsed = user_filter(text, advanced=False)

    assert parsed.test({"surname": held}.get) is found


def test_moments_are_compared_as_moments() -> None:
    """The moments are the same to the second; as texts, the dot is before the Z."""
    parsed = user_filter("createdDateTime ge 2026-01-31T10:00:00Z", advanced=False)

    assert parsed.test({"createdDateTime": "2026-01-31T10:00:00.5Z"}.get)
    assert parsed.test({"createdDateTime": "2026-01-31T11:00:00+01:00"}.get)
    assert not parsed.test({"createdDateTime": "2026-01-31T10:30:00+01:00"}.get)


def test_a_doubled_apostrophe_stands_for_one(reader: Application) -> None:
    users = filtered(reader, "startsWith(surname,'O''B')", select="surname")

    assert users
    assert {user["surname"] for user in users} == {"O'Brien"}


def test_ne_and_not_find_the_rest_of_eq(reader: Application) -> None:
    sales = filtered(reader, "department eq 'Sales'")
    others = advanced(reader, "department ne 'Sales'")
    negated = advanced(reader, "not (department eq 'Sales')")

    assert len(sales) + len(others) == 300
    assert others == negated


def test_users_by_id_are_found_wherever_they_are(reader: Application) -> None:
    ids = [user["id"] for user in reader.items("/users?$select=id&$top=999")][285:300]
    listed = ",".join(f"'{i}'" for i in ids)

    found = filtered(reader, f"id in ({listed})")

    assert sorted(user["id"] for user in found) == sorted(ids)


def test_a_filter_by_id_still_checks_the_rest(reader: Application) -> None:
    user = reader.ask("/users?$select=id,accountEnabled&$top=1").json()["value"][0]
    wrong = str(not user["accountEnabled"]).lower()

    assert filtered(reader, f"id eq '{user['id']}' and accountEnabled eq {wrong}") == []


def test_filtered_pages_hold_each_match_once(reader: Application) -> None:
    pages = reader.pages("/users?$filter=accountEnabled eq true&$select=id&$top=40")

    ids = [user["id"] for page in pages for user in page["value"]]
    assert len(pages) > 3
    assert len(ids) == len(set(ids))
    assert all(len(page["value"]) == 40 for page in pages[:-1])
