"""What it costs to judge and map people: scope and mapping over a directory in memory.

Beside it the same rules read anew for each person, as a script does that keeps them as text: that is
so slow that it is measured with fewer people, each of them in full.

    {"people": N}

Task as JSON argument in; one JSON object with microseconds of CPU a person out.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from local.graph.directory.people import People
from local.sample import COST_CENTER, SAMPLE_DOMAIN, SAMPLE_GROUP_ID, SAMPLE_INITIAL_DOMAIN
from sync_core.domain.documents.mapping import MappingRule
from sync_core.domain.documents.scope import Scope
from sync_core.domain.mapping.compile import CompiledMapping, compile_mapping
from sync_core.domain.scope.compile import CompiledScope, compile_scope

NAIVE_PEOPLE = 500
ROUNDS = 3
SOURCES = {
    "userName": "userPrincipalName",
    "givenName": "givenName",
    "familyName": "surname",
    "department": "department",
    "jobTitle": "jobTitle",
    "employeeId": "employeeId",
    "preferredLanguage": "preferredLanguage",
    "hiredOn": "employeeHireDate",
    "level": "onPremisesExtensionAttributes/extensionAttribute7",
    "costCenter": COST_CENTER,
}
EXPRESSIONS = {
    "email": "ToLower(Coalesce([mail], [userPrincipalName]))",
    "region": 'Switch([usageLocation], "Other", "CH", "EMEA", "DK", "EMEA", "GR", "EMEA", "PL", "EMEA", '
    '"NG", "EMEA", "BR", "AMER", "US", "AMER", "JP", "APAC")',
    "sortName": 'NormalizeDiacritics(Join(", ", [surname], [givenName]))',
    "role": f'IIF(InGroup("{SAMPLE_GROUP_ID}"), "editor", "viewer")',
    "mobilePhone": 'Replace([mobilePhone], " ", , , "", , )',
}
MAPPING = [{"target": target, "source": source} for target, source in SOURCES.items()] + [
    {"target": target, "expression": text} for target, text in EXPRESSIONS.items()
]
SCOPE = {
    "filters": [
        {
            "clauses": [
                {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [SAMPLE_GROUP_ID]},
                {"attribute": "accountEnabled", "operator": "IS TRUE"},
            ]
        },
        {
            "clauses": [
                {"attribute": "department", "operator": "NOT EQUALS", "value": "Legal"},
                {"attribute": "extensionAttribute1", "operator": "IN", "value": ["Internal", "X"]},
                {
                    "attribute": "userPrincipalName",
                    "operator": "REGEX MATCH",
                    "value": r"@contoso\.com$",
                },
            ]
        },
    ],
    "exclude": ["svc-sync@contoso.com"],
}
NOW = datetime(2026, 11, 23, tzinfo=UTC)

Person = tuple[dict[str, Any], frozenset[str]]


def people_of(count: int) -> list[Person]:
    """Make people as they come from Graph, with the named groups each is in: every third in one."""
    scope, mapping = compiled()
    names = sorted(scope.attributes | mapping.attributes)
    everybody = People(
        count=count,
        seed=1,
        domain=SAMPLE_DOMAIN,
        initial_domain=SAMPLE_INITIAL_DOMAIN,
        cost_center=COST_CENTER,
    )
    groups = (frozenset({SAMPLE_GROUP_ID}), frozenset[str](), frozenset[str]())
    # Decoded from JSON, as in a run: equal texts of two people are not one object.
    return [
        (
            orjson.loads(orjson.dumps({name: everybody.value(number, name) for name in names})),
            groups[number % 3],
        )
        for number in range(count)
    ]


def compiled() -> tuple[CompiledScope, CompiledMapping]:
    """Read the rules, as a run does once."""
    rules = [MappingRule.model_validate(rule) for rule in MAPPING]
    return compile_scope(Scope.model_validate(SCOPE)), compile_mapping(rules)


def judged_once_compiled(people: Sequence[Person]) -> None:
    """Judge and map everybody, also who is not in scope: the figure is that of the dearest case."""
    scope, mapping = compiled()
    for person, groups in people:
        scope.matches(person, groups)
        mapping.to_mapped(person, groups, NOW)


def judged_from_text(people: Sequence[Person]) -> None:
    for one in people:
        judged_once_compiled([one])


def microseconds(work: Callable[[Sequence[Person]], None], people: Sequence[Person]) -> float:
    """Give the CPU a person costs, in the best of a few rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work(people)
        rounds.append(time.process_time() - began)
    return min(rounds) / len(people) * 1e6


def main(task: dict[str, Any]) -> None:
    people = people_of(task["people"])
    ours = microseconds(judged_once_compiled, people)
    naive = microseconds(judged_from_text, people[:NAIVE_PEOPLE])
    print(json.dumps({"people": len(people), "ours_us": ours, "naive_us": naive}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
