"""What is wrong with a connection is said at once, all of it, each with its path."""

import httpx
import pytest

from local.sample import SAMPLE_GROUP_ID
from sync_core.connections import warnings
from sync_core.domain.connections.draft import MAX_DEPTH, checked, merged
from sync_core.domain.errors import Invalid
from sync_core.services import utc_now
from tests.api.conftest import Create, Json, document, paths


def clause(attribute: str, operator: str, value: object = None) -> Json:
    return {"attribute": attribute, "operator": operator, "value": value}


def scope(*clauses: Json, **changes: object) -> Json:
    good = clause("groups", "ARRAYCONTAINS", [SAMPLE_GROUP_ID])
    return {"scope": {"filters": [{"clauses": [good, *clauses]}], **changes}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"tenantId": None}, ["tenantId"], id="null"),
        pytest.param({"tenantId": "not a tenant"}, ["tenantId"], id="neither GUID nor domain"),
        pytest.param({"clientId": "x"}, ["clientId"], id="not a GUID"),
        pytest.param({"id": "Contoso!"}, ["id"], id="id"),
        pytest.param({"displayName": ""}, ["displayName"], id="empty name"),
        pytest.param({"displayName": " Contoso"}, ["displayName"], id="blank before the name"),
        pytest.param({"displayName": "a\u0000b"}, ["displayName"], id="control character"),
        pytest.param({"nestedgroups": True}, ["nestedgroups"], id="unknown field"),
        pytest.param({"display_name": "x"}, ["display_name"], id="name of the code"),
        pytest.param({"schedule": {"everyMinutes": 4}}, ["schedule.everyMinutes"], id="too often"),
        pytest.param({"schedule": []}, ["schedule"], id="list for an object"),
        pytest.param({"scope": {"guests": "some"}}, ["scope.guests"], id="unknown word"),
        pytest.param(
            scope(clause("department", "RHYMES WITH", "Sales")),
            ["scope.filters[0].clauses[1].operator"],
            id="unknown operator",
        ),
        pytest.param(
            scope(clause("department", "EQUALS", {"a": 1})),
            ["scope.filters[0].clauses[1].value"],
            id="object for a value",
        ),
        pytest.param(
            scope(clause("department", "IN", ["Sales", None])),
            ["scope.filters[0].clauses[1].value[1]", "scope.filters[0].clauses[1].value"],
            id="null in a list",
        ),
        pytest.param(
            scope(clause("department", "REGEX MATCH", "(")),
            ["scope.filters[0].clauses[1].value"],
            id="broken pattern",
        ),
        pytest.param(
            scope(clause("employeeId", "GREATER_THAN", "many")),
            ["scope.filters[0].clauses[1].value"],
            id="not a number",
        ),
        pytest.param(
            scope(clause("groups", "ARRAYCONTAINS", ["Sales"])),
            ["scope.filters[0].clauses[1]"],
            id="group by name",
        ),
        pytest.param(
            {"mapping": [{"target": "email", "source": "mail"}, {"target": "Bad", "source": "x"}]},
            ["mapping[1].target"],
            id="target",
        ),
        pytest.param(
            {"mapping": [{"target": "email", "expression": "Coalesce([mail]"}]},
            ["mapping[0].expression"],
            id="expression",
        ),
        pytest.param(
            {"policy": {"graceDays": 7, "purgeAfterDays": 30}},
            ["policy.graceDays", "policy.purgeAfterDays"],
            id="not in this version",
        ),
        pytest.param(
            {"assertions": [{"in": "a@b.example"}, {}, {"never": "svc-*", "atLeast": 1}]},
            ["assertions[1]", "assertions[2]"],
            id="assertion of nothing, or of two things",
        ),
        pytest.param(
            {"assertions": [{"in": "*@b.example"}, {"in": "Ann"}, {"never": "**"}, {"atMost": -1}]},
            ["assertions[0]", "assertions[1]", "assertions[2].never", "assertions[3].atMost"],
            id="assertion that means nothing",
        ),
        pytest.param(
            {"assertions": [{"atLeast": 1, "where": {"departement": "Sales", "email": "x"}}]},
            ["assertions[0].where.departement"],
            id="assertion about a column that no rule fills",
        ),
        pytest.param(
            {"credential": {"kind": "password"}}, ["credential.kind"], id="kind of credential"
        ),
        pytest.param(
            {"credential": {"kind": "federated", "clientSecret": "x", "secretName": "a"}},
            ["credential.clientSecret", "credential.secretName"],
            id="secret where there is none",
        ),
        pytest.param(
            {"credential": {"kind": "managedIdentity", "expiresOn": "2031-01-31"}},
            ["credential.expiresOn"],
            id="date of what never ends",
        ),
        pytest.param(
            {"credential": {"certificate": "-----BEGIN", "clientSecret": "x"}},
            ["credential.certificate"],
            id="certificate of another kind",
        ),
        pytest.param(
            {"credential": {"kind": "certificate", "clientSecret": "x"}},
            ["credential.clientSecret", "credential.certificate"],
            id="secret of another kind",
        ),
        pytest.param(
            {"credential": {"kind": "certificate", "certificate": "MIIC"}},
            ["credential.certificate"],
            id="no PEM",
        ),
        pytest.param(
            {"credential": {"kind": "certificate", "certificate": "x" * 30_000}},
            ["credential.certificate"],
            id="too long for Key Vault",
        ),
        pytest.param(
            {"credential": {"kind": "certificate"}},
            ["credential.certificate"],
            id="enabled without certificate",
        ),
        pytest.param({"credential": {}}, ["credential.clientSecret"], id="enabled without secret"),
        pytest.param(
            {"credential": {"secretName": "under_score"}}, ["credential.secretName"], id="name"
        ),
    ],
)
def test_problems_are_named_with_their_path(changes: Json, expected: list[str]) -> None:
    problems = problems_of(document("contoso") | changes)

    assert sorted(problems) == sorted(expected)
    assert all(problems.values())


def problems_of(body: Json) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        checked(body, utc_now())
    return {one.path: one.message for one in caught.value.problems}


def test_doubled_targets_are_named() -> None:
    mapping = [{"target": "email", "source": "mail"}, {"target": "email", "source": "mail"}]
    problems = problems_of(document("contoso", mapping=mapping))

    assert "email" in "".join(problems.values())


def test_a_missing_field_is_called_required() -> None:
    assert problems_of({"id": "contoso"})["clientId"] == "is required"


def test_messages_do_not_speak_python() -> None:
    problems = problems_of(document("contoso", tenantId="x", nonsense=1))

    assert "check the spelling" in problems["nonsense"]
    assert problems["tenantId"].startswith("must be the tenant's id")


async def test_everything_wrong_is_answered_at_once(
    admin: httpx.AsyncClient, connection_id: str
) -> None:
    body = document(connection_id) | scope(clause("department", "REGEX MATCH", "("))
    answer = await admin.post("/api/connections", json=body | {"policy": {"graceDays": 7}})

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "request.invalid"
    assert answer.json()["remedy"]
    assert paths(answer) == ["policy.graceDays", "scope.filters[0].clauses[1].value"]
    assert all(error["message"] for error in answer.json()["errors"])


async def test_a_scope_that_could_not_be_read_is_refused(
    admin: httpx.AsyncClient, connection_id: str
) -> None:
    """What Graph gives one person at a time, and people who cannot be told from a typing error."""
    body = document(connection_id) | scope(clause("skills", "EQUALS", "x"))
    mapping = [
        {"target": "a", "source": "aboutMe"},
        {"target": "b", "expression": "Trim([mySite])"},
    ]
    unreadable = await admin.post("/api/connections", json=body | {"mapping": mapping})
    names = await admin.post(
        "/api/connections", json=body | {"scope": {"exclude": ["ann@contoso.com", "Ann Lee"]}}
    )
    null_matches = clause("department", "EQUALS", "x") | {"nullMatches": False}
    senseless = await admin.post("/api/connections", json=body | scope(null_matches))

    assert paths(unreadable) == [
        "scope.filters[0].clauses[1].attribute",
        "mapping[0].source",
        "mapping[1].expression",
    ]
    assert paths(names) == ["scope.exclude[1]"]
    assert paths(senseless) == ["scope.filters[0].clauses[1]"]


@pytest.mark.parametrize("extra", [{}, {"nullMatches": True}, {"nullMatches": False}])
async def test_a_clause_is_given_back_as_it_was_sent(create: Create, extra: Json) -> None:
    sent = clause("department", "NOT EQUALS", "x") | extra
    created = await create(**scope(sent))

    assert created.json()["scope"]["filters"][0]["clauses"][-1] == sent


@pytest.mark.parametrize(
    "name", ["O'Neill & Söhne", "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}", "東京"]
)
async def test_names_in_any_script_are_kept(create: Create, name: str) -> None:
    """Some scripts need joiners, which look like control characters to a careless check."""
    assert (await create(displayName=name)).json()["displayName"] == name


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        pytest.param({"scope": {}}, ["scope.nobody"], id="no filters"),
        pytest.param({"realtime": True}, ["realtime.polling"], id="realtime"),
        pytest.param(scope(everyone=True), ["scope.everyoneIgnored"], id="everyone and filters"),
        pytest.param({"scope": {"everyone": True}}, ["scope.everyone"], id="everyone"),
        pytest.param({}, [], id="one group"),
    ],
)
async def test_what_may_surprise_is_a_warning(
    admin: httpx.AsyncClient, create: Create, changes: Json, codes: list[str]
) -> None:
    created = await create(**changes)
    loaded = await admin.get(created.headers["Location"])

    assert [one["code"] for one in created.json()["warnings"]] == codes
    assert [one["code"] for one in loaded.json()["warnings"]] == codes


@pytest.mark.parametrize(
    ("guests", "words"),
    [
        pytest.param("exclude", "{members} people; {guests} guests stay out", id="out"),
        pytest.param("include", "{users} people, {guests} of them guests", id="in"),
        pytest.param("only", "{guests} guests; {members} others stay out", id="only"),
    ],
)
async def test_everyone_is_counted_guests_apart(create: Create, guests: str, words: str) -> None:
    (warning,) = (await create(scope={"everyone": True, "guests": guests})).json()["warnings"]
    users, apart = warning["users"], warning["guests"]

    assert (users, apart > 0) == (40, True)
    assert words.format(users=users, guests=apart, members=users - apart) in warning["message"]


async def test_when_everyone_cannot_be_counted_the_save_goes_on(create: Create) -> None:
    wrong = {"clientSecret": "not-the-secret-of-the-sample"}
    created = await create(scope={"everyone": True}, credential=wrong, enabled=False)
    warning = next(one for one in created.json()["warnings"] if one["code"] == "scope.everyone")

    assert "could not be counted" in warning["message"]
    assert "AADSTS7000215" in warning["message"]
    assert "users" not in warning


async def test_a_save_does_not_wait_for_a_slow_graph(
    create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warnings, "COUNT_PATIENCE_S", 0.0)
    (warning,) = (await create(scope={"everyone": True})).json()["warnings"]

    assert "did not answer within 0 seconds" in warning["message"]


def test_a_patch_is_not_followed_without_end() -> None:
    patch: Json = {}
    for _ in range(MAX_DEPTH + 2):
        patch = {"a": patch}

    with pytest.raises(Invalid):
        merged({}, patch)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        pytest.param({"a": "b"}, {"a": "c"}, {"a": "c"}, id="replaced"),
        pytest.param({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}, id="added"),
        pytest.param({"a": "b"}, {"a": None}, {}, id="taken away"),
        pytest.param({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}, id="others stay"),
        pytest.param({"a": ["b"]}, {"a": "c"}, {"a": "c"}, id="list by text"),
        pytest.param({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}, id="text by list"),
        pytest.param(
            {"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}, id="inside"
        ),
        pytest.param({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}, id="lists are not merged"),
        pytest.param({"e": None}, {"a": 1}, {"e": None, "a": 1}, id="null that was there"),
        pytest.param({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}, id="null in the new"),
        pytest.param({"a": "foo"}, {"a": {"b": 1}}, {"a": {"b": 1}}, id="text by object"),
    ],
)
def test_merge_patch(target: Json, patch: Json, result: Json) -> None:
    """The cases are those of RFC 7396, appendix A."""
    assert merged(target, patch) == result
