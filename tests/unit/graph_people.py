"""People as Graph's schema allows them, and clauses that may fit them: what push-down is tested with."""

from typing import Any

from hypothesis import strategies as st

from local.sample import COST_CENTER
from sync_core.domain.attributes import reader
from sync_core.domain.documents.scope import WITH_LIST, WITHOUT_VALUE, Clause, Operator
from sync_core.domain.scope.odata import condition_of

GUIDS = [f"aaaaaaaa-0000-0000-0000-00000000000{number}" for number in range(3)]
# Few and alike, so that values and people meet: cases, blanks, quotes, letters that fold oddly.
WORDS = [
    "Sales", "sales", "SALES EMEA", "Sal", " Sales", "O'Neil", "o'neil", "''", "a'b or id ne null",
    "Straße", "STRASSE", "\N{KELVIN SIGN}iel", "Kiel", "kiel", "ﬁnance", "finance", "ſales", "Élan",
    "élan", "100%", "a+b&c=d#e/f\\g", "true", "False", "5", "05", "2026-01-31", "x" * 120, "x" * 121,
    "東京", "L\u00adi", "a\tb", "*", "null", "İx", "ıx",
]  # fmt: skip
TEXTS = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
OPTIONAL_TEXT = st.sampled_from([None, *WORDS]) | TEXTS
MOMENTS = ["2026-01-31T00:00:00Z", "2026-01-30T23:59:59Z", "2026-01-31T00:00:00.1234567Z"]

TEXT_PROPERTIES = [
    "department", "displayName", "jobTitle", "mail", "userPrincipalName", "employeeId", "companyName",
    "employeeType", "preferredLanguage", "userType", COST_CENTER,
]  # fmt: skip
PEOPLE: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        **dict.fromkeys(TEXT_PROPERTIES, OPTIONAL_TEXT),
        "id": st.sampled_from(GUIDS),
        "userType": st.sampled_from(["Member", "Guest", None]),
        "accountEnabled": st.booleans(),
        "onPremisesSyncEnabled": st.none() | st.booleans(),
        "createdDateTime": st.sampled_from([None, *MOMENTS]),
        "proxyAddresses": st.lists(TEXTS, max_size=3),
        "otherMails": st.lists(TEXTS, max_size=3),
        "onPremisesExtensionAttributes": st.none()
        | st.fixed_dictionaries({"extensionAttribute7": OPTIONAL_TEXT}),
        "employeeOrgData": st.none() | st.fixed_dictionaries({"division": OPTIONAL_TEXT}),
    }
)
ATTRIBUTES = [
    *TEXT_PROPERTIES, "id", "objectId", "accountEnabled", "onPremisesSyncEnabled", "createdDateTime",
    "proxyAddresses", "otherMails", "extensionAttribute7", "employeeOrgData.division", "faxNumber",
    "onPremisesExtensionAttributes/extensionAttribute7",
]  # fmt: skip
_PATTERNS = {Operator.REGEX_MATCH, Operator.NOT_REGEX_MATCH}
_LIMITS = {Operator.GREATER_THAN, Operator.GREATER_THAN_OR_EQUALS}
_EDGES = {Operator.STARTS_WITH: slice(3), Operator.ENDS_WITH: slice(-3, None)}
_SCALARS = TEXTS.filter(bool) | st.sampled_from([*GUIDS, "Guest", True, False, 5, 5.0, 0])
_IN_ANOTHER_CASE = st.sampled_from([str, str.upper, str.lower, str.swapcase])


def _is_pushed(attribute: str, operator: Operator) -> bool:
    probes = (None,) if operator in WITHOUT_VALUE else ("Sales", GUIDS[0], True, "2026-01-31")
    clauses = (Clause(attribute=attribute, operator=operator, value=value) for value in probes)
    return any(map(condition_of, clauses))


# The attributes for which Graph can be asked with an operator, if there are any.
PUSHED = {
    operator: attributes
    for operator in Operator
    if operator not in _PATTERNS
    and (attributes := [one for one in ATTRIBUTES if _is_pushed(one, operator)])
}


def _fitting(person: dict[str, Any], attribute: str, operator: Operator) -> st.SearchStrategy[Any]:
    """Give values for a clause, most of them such that the person, or somebody alike, passes."""
    if operator in WITHOUT_VALUE:
        return st.none()
    if operator in _PATTERNS:
        return st.sampled_from(["^S", "."])
    if operator in _LIMITS:
        return st.sampled_from([*MOMENTS, "2026-01-31", "2026-01-31T02:00:00+02:00", 5])
    held = reader(attribute)(person)
    values = [one for one in (held if isinstance(held, list) else [held]) if one not in (None, "")]
    one = st.sampled_from(values) if values else _SCALARS
    if operator in _EDGES:
        edge = one.map(lambda value: str(value)[_EDGES[operator]])
        return st.builds(lambda text, change: change(text), edge, _IN_ANOTHER_CASE)
    if operator in WITH_LIST:
        return st.builds(lambda value, more: [value, *more], one, st.lists(_SCALARS, max_size=2))
    return one


@st.composite
def _clauses(
    draw: st.DrawFn, person: dict[str, Any], operators: st.SearchStrategy[Operator]
) -> Clause:
    operator = draw(operators)
    attribute = draw(st.sampled_from(PUSHED.get(operator, ATTRIBUTES)))
    value = draw(_fitting(person, attribute, operator))
    return Clause(attribute=attribute, operator=operator, value=value)


@st.composite
def _alike(draw: st.DrawFn, person: dict[str, Any]) -> dict[str, Any]:
    """Give somebody whose texts are written in another case, with blanks, or are not there."""
    change = draw(
        st.sampled_from([str.upper, str.lower, str.swapcase, str.casefold, str.strip, None])
    )

    def changed(value: Any) -> Any:
        if isinstance(value, str):
            return change(value) if change else None
        return [changed(item) for item in value] if isinstance(value, list) else value

    same = {"id", "createdDateTime"}
    return {name: value if name in same else changed(value) for name, value in person.items()}


Given = tuple[list[list[Clause]], list[dict[str, Any]]]


@st.composite
def clauses_and_people(
    draw: st.DrawFn,
    most_filters: int,
    most_clauses: int,
    operators: st.SearchStrategy[Operator] = st.sampled_from([*PUSHED] * 2 + [*Operator]),  # noqa: B008
) -> Given:
    """Give one filter or more of clauses, and people of whom some are likely to pass."""
    person = draw(PEOPLE)
    clauses = st.lists(_clauses(person, operators), min_size=1, max_size=most_clauses)
    people = [person, *draw(st.lists(_alike(person) | PEOPLE, min_size=2, max_size=5))]
    return draw(st.lists(clauses, min_size=1, max_size=most_filters)), people
