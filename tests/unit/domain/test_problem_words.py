"""Wrong fields are told in the product's words, whatever the validator would say of them."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from sync_core.api.shapes import BitwardenFilters, EvaluateBody, MatchBody, PreviewBody, SyncBody
from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import ConnectionInput
from sync_core.domain.problems import (
    PATTERN_WORDS,
    UNKNOWN,
    WORDS,
    document_problems,
    parameter_problems,
)

PERSON = "6d2f5a80-1c3b-4e5f-8a9d-7b6c5d4e3f21"
CONNECTION: dict[str, Any] = {
    "id": "contoso",
    "displayName": "Contoso",
    "enabled": True,
    "cloud": "public",
    "tenantId": PERSON,
    "clientId": PERSON,
    "credential": {
        "kind": "clientSecret",
        "secretName": "a",
        "secretVersion": "1",
        "expiresOn": "2031-01-31",
        "clientSecret": "x",
    },
    "scope": {
        "filters": [
            {
                "clauses": [
                    {
                        "attribute": "department",
                        "operator": "NOT EQUALS",
                        "value": "Sales",
                        "nullMatches": True,
                    }
                ]
            }
        ],
        "guests": "exclude",
        "exclude": [PERSON],
    },
    "mapping": [
        {
            "target": "email",
            "source": "mail",
            "whenNull": "default",
            "default": "none",
            "apply": "always",
            "tests": [
                {
                    "attributes": {},
                    "expected": None,
                    "groups": [PERSON],
                    "now": "2027-01-31T08:00:00Z",
                }
            ],
        }
    ],
    "matching": ["email"],
    "policy": {"leftScope": "keep", "graceDays": 1, "protected": [PERSON], "guard": {}},
    "assertions": [{"atLeast": 1}],
    "schedule": {"automatic": True, "everyMinutes": 60, "fullEveryHours": 24},
    "realtime": False,
}
GUARD = {"maxRemovals": 1, "maxRemovalPercent": 1.5, "maxCreates": 1}
BODIES: list[tuple[type[Document], dict[str, Any]]] = [
    (ConnectionInput, CONNECTION | {"policy": CONNECTION["policy"] | {"guard": GUARD}}),
    (ConnectionInput, CONNECTION | {"assertions": [{"in": PERSON}, {"never": "a*"}]}),
    (ConnectionInput, CONNECTION | {"assertions": [{"atMost": 1, "where": {"role": "a"}}]}),
    (PreviewBody, {"scope": CONNECTION["scope"], "mapping": CONNECTION["mapping"]}),
    (EvaluateBody, {"expression": "x", "attributes": {}, "groups": [], "now": "2027-01-31"}),
    (MatchBody, {"decision": "link", "row": "a|b"}),
    (SyncBody, {"mode": "auto"}),
    (BitwardenFilters, {"userFilter": "", "groupFilter": ""}),
]
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    float("inf"),
    float("nan"),
    "",
    " ",
    "e-mail",
    "maybe",
    "\ud800",
    "x" * 200_000,
    [],
    [None],
    [[]],
    ["a"] * 2_000,
    {},
    {"unknown": 1},
]
# How the validator begins its own sentences.
FOREIGN = re.compile(r"(Input|String|Value|List|Dictionary|Field|Object|Datetime|Date|Extra)\b")


def mutants(document: Any) -> Iterator[Any]:
    """Give the document with an odd value in each place, one after another."""
    if isinstance(document, dict):
        for name, value in document.items():
            for changed in [*ODD, *mutants(value)]:
                yield document | {name: changed}
    elif isinstance(document, list):
        for number, value in enumerate(document):
            for changed in [*ODD, *mutants(value)]:
                yield [*document[:number], changed, *document[number + 1 :]]


@pytest.mark.parametrize(("model", "document"), BODIES)
def test_whatever_is_wrong_is_said_in_words_of_ours(
    model: type[Document], document: dict[str, Any]
) -> None:
    model.model_validate(document, by_alias=True, by_name=False)
    said = set()
    for mutant in mutants(deepcopy(document)):
        try:
            model.model_validate(mutant, by_alias=True, by_name=False)
        except ValidationError as error:
            said |= {one.message for one in document_problems(error, mutant)}

    assert said
    assert [one for one in said if FOREIGN.match(one) or UNKNOWN in one or "{" in one] == []


def problems(**changes: Any) -> dict[str, str]:
    document = CONNECTION | changes
    with pytest.raises(ValidationError) as caught:
        ConnectionInput.model_validate(document, by_alias=True, by_name=False)
    return {one.path: one.message for one in document_problems(caught.value, document)}


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        pytest.param(
            {"schedule": {"everyMinutes": 1}}, "schedule.everyMinutes", "must be at least 5"
        ),
        pytest.param(
            {"schedule": {"everyMinutes": 99_999}},
            "schedule.everyMinutes",
            "must be at most 10080",
        ),
        pytest.param(
            {"mapping": [{"target": "e-mail", "source": "mail"}], "matching": []},
            "mapping[0].target",
            "must begin with a small letter and hold up to 64 letters and digits, nothing else "
            "(email, not e-mail)",
        ),
        pytest.param(
            {"cloud": "mars"}, "cloud", "must be 'public', 'usGov', 'usGovDoD' or 'china'"
        ),
        pytest.param({"displayName": "x" * 201}, "displayName", "must have at most 200 characters"),
        pytest.param({"realtime": "maybe"}, "realtime", "must be true or false"),
        pytest.param(
            {"credential": {"secretVersion": "a" * 5_000}},
            "credential.secretVersion",
            "must be the version of a secret as Key Vault shows it",
        ),
        pytest.param(
            {"credential": {"expiresOn": 0}},
            "credential.expiresOn",
            "must be a date like 2027-01-31",
        ),
    ],
)
def test_what_is_wrong_and_what_is_right(changes: Any, path: str, message: str) -> None:
    assert problems(**changes) == {path: message}


@pytest.mark.parametrize("now", [0, 1_700_000_000, 1.5, "0", "1700000000", True, [], "20270131"])
@pytest.mark.parametrize("model", [EvaluateBody, ConnectionInput])
def test_moments_are_written_as_words_and_not_as_seconds(model: type[Document], now: Any) -> None:
    """A number would be taken for the seconds since 1970, which nobody means."""
    document = deepcopy(CONNECTION)
    document["mapping"][0]["tests"][0]["now"] = now
    body = {"expression": "x", "now": now} if model is EvaluateBody else document

    with pytest.raises(ValidationError) as caught:
        model.model_validate(body, by_alias=True, by_name=False)
    assert [one["loc"][-1] for one in caught.value.errors()] == ["now"]


def test_of_a_long_list_the_first_wrong_value_is_named() -> None:
    """Each is wrong once for every type that it could have: a body of 2 MB would be a gigabyte."""
    clause = {"attribute": "department", "operator": "IN", "value": [{}] * 50_000}
    found = problems(scope={"filters": [{"clauses": [clause]}]})

    assert list(found) == [
        "scope.filters[0].clauses[0].value[0]",
        "scope.filters[0].clauses[0].value",
    ]


def patterns(schema: object) -> Iterator[str]:
    """Yield every pattern that a JSON schema asks of a text, at any depth."""
    if isinstance(schema, list):
        for part in schema:
            yield from patterns(part)
    elif isinstance(schema, dict):
        for name, part in schema.items():
            if name == "pattern" and isinstance(part, str):
                yield part
            yield from patterns(part)


def test_every_pattern_of_a_document_has_words() -> None:
    found = set(patterns([model.model_json_schema() for model, _ in BODIES]))

    assert len(found) >= 5
    assert found <= PATTERN_WORDS.keys()


def test_an_error_without_words_is_not_told_in_the_validators() -> None:
    error = {"type": "url_scheme", "loc": ("query", "top"), "msg": "URL scheme should be"}

    assert "url_scheme" not in WORDS
    assert [one.message for one in parameter_problems([error])] == [UNKNOWN]


def test_a_pattern_without_words_is_not_shown() -> None:
    error = {
        "type": "string_pattern_mismatch",
        "loc": ("query", "x"),
        "msg": "String should match",
        "ctx": {"pattern": "^a$"},
    }

    assert [one.message for one in parameter_problems([error])] == [UNKNOWN]
