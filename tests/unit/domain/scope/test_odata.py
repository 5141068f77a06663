"""Which clauses Graph is asked to apply, how, and which ones it is not trusted with."""

from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from local.graph.odata.properties import ADVANCED, USER_FILTERS, USER_PROPERTIES, Filterable
from local.graph.odata.selection import user_filter
from local.sample import COST_CENTER
from sync_core.domain.documents.scope import Clause, Operator
from sync_core.domain.scope.odata import FILTERABLE, Support, condition_of
from tests.unit.builders import GUID, NO_GROUPS, SALES, clause, compiled, examples
from tests.unit.graph_people import PUSHED, clauses_and_people

EXTENSION = "onPremisesExtensionAttributes/extensionAttribute7"


def pushed(attribute: str, operator: str, value: Any = None) -> str | None:
    condition = condition_of(Clause.model_validate(clause(attribute, operator, value)))
    return condition.text if condition else None


@pytest.mark.parametrize(
    ("attribute", "operator", "value", "text"),
    [
        pytest.param("department", "EQUALS", "Sales", "department eq 'Sales'", id="equals"),
        pytest.param("department", "EQUALS", 5, "department eq '5'", id="number"),
        pytest.param("department", "EQUALS", 5.0, "department eq '5'", id="whole number"),
        pytest.param("department", "EQUALS", "O'Neil", "department eq 'O''Neil'", id="apostrophe"),
        pytest.param("department", "EQUALS", "Łódź", "department eq 'Łódź'", id="letters"),
        pytest.param("department", "EQUALS", "true", "department eq 'true'", id="true as a text"),
        pytest.param("department", "IN", ["a", "b"], "department in ('a','b')", id="in"),
        pytest.param("department", "IN", ["a", "a"], "department eq 'a'", id="in, doubled"),
        pytest.param("department", "IN", "a", "department eq 'a'", id="in, a single value"),
        pytest.param("department", "ARRAYCONTAINS", ["a"], "department eq 'a'", id="contains"),
        pytest.param("mail", "STARTS WITH", "ann@", "startsWith(mail,'ann@')", id="starts with"),
        pytest.param("mail", "ENDS WITH", "@x.org", "endsWith(mail,'@x.org')", id="ends with"),
        pytest.param("employeeId", "IS NOT NULL", None, "employeeId ne null", id="is not null"),
        pytest.param("accountEnabled", "IS TRUE", None, "accountEnabled eq true", id="is true"),
        pytest.param("accountEnabled", "IS FALSE", None, "accountEnabled eq false", id="is false"),
        pytest.param("accountEnabled", "EQUALS", True, "accountEnabled eq true", id="true"),
        pytest.param("accountEnabled", "EQUALS", "False", "accountEnabled eq false", id="False"),
        pytest.param(
            "extensionAttribute7", "EQUALS", "L3", f"{EXTENSION} eq 'L3'", id="Entra's own name"
        ),
        pytest.param(EXTENSION, "EQUALS", "L3", f"{EXTENSION} eq 'L3'", id="in an object"),
        pytest.param(
            "employeeOrgData.division",
            "STARTS WITH",
            "EM",
            "startsWith(employeeOrgData/division,'EM')",
            id="in an object, with a dot",
        ),
        pytest.param("objectId", "IN", [GUID, SALES], f"id in ('{GUID}','{SALES}')", id="ids"),
        pytest.param(COST_CENTER, "EQUALS", "CC-1", f"{COST_CENTER} eq 'CC-1'", id="extension"),
        pytest.param(
            COST_CENTER, "IS NOT NULL", None, f"{COST_CENTER} ne null", id="extension set"
        ),
        pytest.param(
            "proxyAddresses",
            "EQUALS",
            "SMTP:a@x",
            "proxyAddresses/any(x:x eq 'SMTP:a@x')",
            id="one of a list",
        ),
        pytest.param(
            "proxyAddresses",
            "STARTS WITH",
            "smtp:",
            "proxyAddresses/any(x:startsWith(x,'smtp:'))",
            id="begin of one of a list",
        ),
        pytest.param(
            "createdDateTime",
            "GREATER_THAN",
            "2026-01-31",
            "createdDateTime ge 2026-01-31T00:00:00Z",
            id="day",
        ),
        pytest.param(
            "createdDateTime",
            "GREATER_THAN_OR_EQUALS",
            "2026-01-31T01:30:00.25+02:00",
            "createdDateTime ge 2026-01-30T23:30:00.250000Z",
            id="moment in another zone",
        ),
    ],
)
def test_what_graph_is_asked(attribute: str, operator: str, value: Any, text: str) -> None:
    assert pushed(attribute, operator, value) == text


@pytest.mark.parametrize(
    ("attribute", "operator", "value"),
    [
        pytest.param("groups", "ARRAYCONTAINS", [SALES], id="groups are no property"),
        pytest.param("department", "NOT EQUALS", "Sales", id="Graph ignores case"),
        pytest.param("department", "NOT REGEX MATCH", "a", id="no pattern"),
        pytest.param("department", "NOT ARRAYCONTAINS", "a", id="no negation"),
        pytest.param("department", "REGEX MATCH", "^a", id="pattern"),
        pytest.param("department", "INCLUDES", "a", id="contains is not supported"),
        pytest.param("department", "IS NULL", None, id="empty texts are no null"),
        pytest.param("department", "EQUALS", True, id="no department is a boolean"),
        pytest.param("department", "IN", ["a", True], id="nor one of several"),
        pytest.param("department", "IN", [str(n) for n in range(16)], id="more than 15 values"),
        pytest.param("department", "EQUALS", "x" * 121, id="longer than 120"),
        pytest.param("department", "IN", ["a", "x" * 121], id="one longer than 120"),
        pytest.param("department", "EQUALS", "a\nb", id="line break"),
        pytest.param("department", "EQUALS", "a\x00", id="control character"),
        pytest.param("department", "EQUALS", "a\u200b", id="unseen character"),
        pytest.param("department", "EQUALS", " a", id="blank before"),
        pytest.param("department", "STARTS WITH", "a ", id="blank behind"),
        pytest.param("department", "STARTS WITH", "é", id="case of a letter beyond ASCII"),
        pytest.param("department", "ENDS WITH", "a", id="endsWith is for addresses"),
        pytest.param("department", "GREATER_THAN", "2026-01-31", id="no moment"),
        pytest.param("department", "IS TRUE", None, id="no boolean"),
        pytest.param("department", "IS FALSE", None, id="no boolean either"),
        pytest.param("accountEnabled", "EQUALS", "yes", id="no boolean value"),
        pytest.param("accountEnabled", "IN", [True, False], id="both"),
        pytest.param("accountEnabled", "STARTS WITH", "T", id="boolean as a text"),
        pytest.param("accountEnabled", "IS NOT NULL", None, id="never null"),
        pytest.param("createdDateTime", "EQUALS", "2026-01-31", id="moment as a text"),
        pytest.param("createdDateTime", "GREATER_THAN", 5, id="number for a moment"),
        pytest.param(
            "createdDateTime", "GREATER_THAN", "0001-01-01T00:00:00+14:00", id="before the year 1"
        ),
        pytest.param("faxNumber", "EQUALS", "1", id="not filterable"),
        pytest.param("shoeSize", "EQUALS", "44", id="unknown"),
        pytest.param("Department", "EQUALS", "a", id="property in another case"),
        pytest.param("telephoneNumber", "EQUALS", "1", id="first of a list"),
        pytest.param("employeeId", "STARTS WITH", "1", id="only eq"),
        pytest.param("otherMails", "IN", ["a", "b"], id="lists have no in"),
        pytest.param("id", "EQUALS", "ann", id="no id"),
        pytest.param("id", "IN", [GUID, "ann"], id="one is no id"),
        pytest.param(COST_CENTER, "EQUALS", "1000", id="perhaps an extension of numbers"),
        pytest.param(COST_CENTER, "EQUALS", "TRUE", id="perhaps one of booleans"),
        pytest.param(COST_CENTER, "EQUALS", "2026-01-31", id="perhaps one of dates"),
        pytest.param(COST_CENTER, "STARTS WITH", "CC", id="begin of an extension"),
    ],
)
def test_what_is_judged_on_our_side_only(attribute: str, operator: str, value: Any) -> None:
    assert pushed(attribute, operator, value) is None


def test_the_table_agrees_with_the_emulators() -> None:
    """Both are taken from Graph's page on advanced queries; neither claims more than the other."""

    def needs(support: Support | None) -> str | None:
        return support.name.lower() if support else None

    for name, rules in FILTERABLE.items():
        theirs = USER_FILTERS.get(name, Filterable())
        asked = [(rules.equal, theirs.eq), (rules.starts, theirs.starts), (rules.ends, theirs.ends)]

        assert all(needs(ours) in (None, their) for ours, their in asked), name
        assert rules.present is None or theirs.null == ADVANCED, name
        assert name.partition("/")[0] in USER_PROPERTIES


@pytest.mark.parametrize("operator", sorted(PUSHED))
@examples(0.6)
@given(st.data())
def test_whom_a_clause_lets_in_the_condition_finds(operator: Operator, data: st.DataObject) -> None:
    """Asked the emulator's own filter code, which refuses what Graph refuses."""
    [[test]], people = data.draw(clauses_and_people(1, 1, st.just(operator)))
    condition = condition_of(test)
    if condition is None:
        return
    parsed = user_filter(condition.text, advanced=condition.advanced)
    judged = compiled([test.to_json()], guests="include")

    let_in = [person for person in people if judged.matches(person, NO_GROUPS)]

    event(f"somebody is in: {bool(let_in)}")
    assert all(parsed.test(person.get) for person in let_in)


@given(st.characters())
def test_no_letter_beyond_ascii_stands_for_one_of_ascii(letter: str) -> None:
    """The claim on which pushing STARTS WITH rests, for every pair that Graph might know."""
    for ascii_letter in (chr(code) for code in range(33, 127)):
        same = ascii_letter.lower() == letter.lower() and letter.isascii()
        judged = compiled([clause("department", "STARTS WITH", ascii_letter)])

        assert judged.matches({"department": letter}, NO_GROUPS) is same
