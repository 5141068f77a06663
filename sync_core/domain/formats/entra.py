"""Entra's own provisioning schema to our scope, mapping and matching, with notes on every difference. Pure.

A schema comes from `GET /servicePrincipals/{id}/synchronization/jobs/{jobId}/schema`, or from the portal
(Provisioning, Attribute mapping, "Review your schema here", Download). Its shape:
learn.microsoft.com/graph/api/resources/synchronization-synchronizationschema, -objectmapping,
-attributemapping, -attributemappingsource, -filter and -filterclause; what it means:
learn.microsoft.com/entra/identity/app-provisioning/customize-application-attributes and
define-conditional-rules-for-provisioning-user-accounts.

What cannot be taken over is named in a note and never dropped silently; in a doubt fewer people come in.
"""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from sync_core.domain.documents.mapping import Apply, MappingRule, WhenNull
from sync_core.domain.documents.scope import ATTRIBUTE, Filter, Operator, Scope
from sync_core.domain.errors import FieldProblem, Invalid
from sync_core.domain.expressions import ExpressionError, parse
from sync_core.domain.formats.entra_names import column_for
from sync_core.domain.formats.parts import Imported, Json
from sync_core.domain.mapping.compile import mapping_problems
from sync_core.domain.scope.compile import scope_problems

ENTRA = frozenset({"azure active directory", "microsoft entra id", "entra id"})
# As the documents have them.
MAX_FILTERS = 50
MAX_MATCHING = 10
MAX_RULES = 200

# Source attributes that are no properties of a user in Graph, and why.
MADE_UP = {
    "IsSoftDeleted": "says whether Entra's provisioning has let the person go; here the column Status of "
    "the Users table says it, and nothing has to be mapped",
    "appRoleAssignments": "needs the app roles assigned in Entra's provisioning, which this program does "
    'not read; map groups to roles instead: IIF(InGroup("<group id>"), "admin", "user")',
    "thumbnailPhoto": "is a picture, which Graph gives one person at a time and no column can hold",
}
NOT_IN_SCOPES = frozenset({*MADE_UP, "manager", "members", "groups"})

# "The #EXT# is stripped from the userPrincipalName": of a guest named ann_fabrikam.com#EXT#@contoso.com
# Entra maps ann@fabrikam.com; originalUserPrincipalName keeps the name as it is.
# See "B2B (guest) users" in learn.microsoft.com/entra/identity/app-provisioning/how-provisioning-works.
SIGN_IN_NAME = "userPrincipalName"
GUESTS_NAME = (
    "of a guest, Entra takes the #EXT# out of userPrincipalName and gives the address at home; here it is "
    'the whole sign-in name. For guests, choose mail or otherMails: IIF([userType] = "Guest", '
    "Coalesce([mail], Item(Sort([otherMails]), 1)), [userPrincipalName])"
)

OPERATORS = {
    "EQUALS": Operator.EQUALS,
    "NOTEQUALS": Operator.NOT_EQUALS,
    "ISTRUE": Operator.IS_TRUE,
    "ISFALSE": Operator.IS_FALSE,
    "ISNULL": Operator.IS_NULL,
    "ISNOTNULL": Operator.IS_NOT_NULL,
    "REGEXMATCH": Operator.REGEX_MATCH,
    "NOTREGEXMATCH": Operator.NOT_REGEX_MATCH,
    "GREATERTHAN": Operator.GREATER_THAN,
    "GREATERTHANOREQUALS": Operator.GREATER_THAN_OR_EQUALS,
    "INCLUDES": Operator.INCLUDES,
    "ENDSWITH": Operator.ENDS_WITH,
}
WITHOUT_VALUE = {Operator.IS_TRUE, Operator.IS_FALSE, Operator.IS_NULL, Operator.IS_NOT_NULL}
# Entra drops people who lack the attribute: "scoping filters will return false if the value is null".
NEGATIONS = {Operator.NOT_EQUALS, Operator.NOT_REGEX_MATCH}

FLOW_NOTES = {
    "AttributeAddOnly": "Entra writes it only while the target has no value; here it is written when the "
    "person is created, and then left alone",
    "ValueAddOnly": "Entra never takes a value away; here the column keeps it while the source is empty",
    "MultiValueAddOnly": "Entra adds values and never takes one away; here the list is always the one in "
    "the directory",
}
ON_CREATE = {"ObjectAddOnly", "AttributeAddOnly"}


class _NotTaken(Exception):
    """Something cannot be taken over; the text says why."""


def import_schema(document: Any) -> Imported:
    """Translate a schema; raises `Invalid` for what is none, or has no users of Entra as a source."""
    if not isinstance(document, dict):
        raise _invalid("", "has to be a synchronization schema: a JSON object")
    result = Imported()
    chosen: tuple[str, Json] | None = None
    for path, mapping in _user_mappings(document, result):
        if chosen is None:
            chosen = path, mapping
        else:
            result.note(path, "maps users a second time; only the first such mapping was taken")
    if chosen is None:
        message = "has no enabled mapping whose source are the users of Entra"
        raise _invalid("synchronizationRules", message)
    _take_scope(result, *chosen)
    _take_mapping(result, *chosen)
    _note_flow_types(result, *chosen)
    return result


def _invalid(path: str, message: str) -> Invalid:
    remedy = (
        "Send the schema as Entra gives it: in the portal Provisioning, Attribute mapping, Review your "
        "schema here, Download; or GET /servicePrincipals/{id}/synchronization/jobs/{jobId}/schema."
    )
    return Invalid(
        "This is no provisioning schema of Entra.", [FieldProblem(path, message)], remedy
    )


def _objects(parent: Json, name: str, path: str) -> Iterator[tuple[str, Json]]:
    """Return the objects of a list with their paths; a list that is not there is empty."""
    inside = f"{path}.{name}" if path else name
    listed = parent.get(name)
    if listed is not None and not isinstance(listed, list):
        raise _invalid(inside, "has to be a list")
    for number, one in enumerate(listed or []):
        if not isinstance(one, dict):
            raise _invalid(f"{inside}[{number}]", "has to be an object")
        yield f"{inside}[{number}]", one


def _object(parent: Json, name: str, path: str) -> Json | None:
    found = parent.get(name)
    if found is not None and not isinstance(found, dict):
        raise _invalid(f"{path}.{name}", "has to be an object, or null")
    return found


def _user_mappings(document: Json, result: Imported) -> Iterator[tuple[str, Json]]:
    """Return the object mappings that read users of Entra; every other enabled one is noted."""
    for path, rule in _objects(document, "synchronizationRules", ""):
        source = str(rule.get("sourceDirectoryName") or "")
        if source and source.lower() not in ENTRA:
            result.note(path, f"reads from {source!r} and not from Entra; left out")
            continue
        for inside, mapping in _objects(rule, "objectMappings", path):
            name = str(mapping.get("sourceObjectName") or "")
            if name.lower() == "user" and mapping.get("enabled") is not False:
                yield inside, mapping
            elif name.lower() == "user":
                result.note(inside, "is switched off in Entra; left out")
            elif mapping.get("enabled") is not False:
                message = f"maps {name or 'unnamed'} objects; this program keeps people only"
                result.note(inside, message)


def _note_flow_types(result: Imported, path: str, mapping: Json) -> None:
    given = mapping.get("flowTypes")
    flows = {one.strip().lower() for one in str(given or "Add, Update, Delete").split(",")}
    if "delete" not in flows:
        message = "Entra lets nobody go here; set the four actions of policy to keep for the same"
        result.note(f"{path}.flowTypes", message)
    for missing in sorted({"add", "update"} - flows):
        message = f"Entra does not {missing} people here; this program does"
        result.note(f"{path}.flowTypes", message)


# --- scope ----------------------------------------------------------------------------------------


def _take_scope(result: Imported, path: str, mapping: Json) -> None:
    here = f"{path}.scope"
    result.note(
        here,
        "who is assigned to the application is not in a schema. Unless Entra is set to sync all users, add "
        "a clause assignedTo ARRAYCONTAINS with the object id of the enterprise application to every "
        "filter, or more people come in",
    )
    result.note(
        here, 'Entra takes guests as well where they match; "guests": "include" does the same'
    )
    scope = _object(mapping, "scope", path)
    if scope is None:
        result.note(here, "has no filters, so nobody is chosen yet")
        return
    for name in ("inputFilterGroups", "categoryFilterGroups"):
        if any(_objects(scope, name, here)):
            message = "filters once more, which cannot be taken over; no filter was taken"
            result.note(f"{here}.{name}", message)
            return
    for inside, group in _objects(scope, "groups", here):
        try:
            result.scope["filters"].append(_filter(result, inside, group))
        except _NotTaken as error:
            message = f"{error}; the whole filter was left out, or more people would come in"
            result.note(inside, message)


def _filter(result: Imported, path: str, group: Json) -> Json:
    if len(result.scope["filters"]) == MAX_FILTERS:
        raise _NotTaken(f"a scope has at most {MAX_FILTERS} filters")
    given = list(_objects(group, "clauses", path))
    clauses = [_clause(inside, clause) for inside, clause in given]
    try:
        checked = Filter.model_validate({"clauses": clauses})
    except ValidationError as error:
        raise _NotTaken(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    if problems := scope_problems(Scope(filters=[checked])):
        raise _NotTaken(problems[0].message)
    for (inside, _), clause in zip(given, clauses, strict=True):
        if clause["attribute"] == SIGN_IN_NAME:
            result.note(inside, GUESTS_NAME)
    return {"clauses": clauses}


def _clause(path: str, clause: Json) -> Json:
    given = str(clause.get("operatorName") or "")
    operator = OPERATORS.get(re.sub(r"[\s_]", "", given).upper())
    if operator is None:
        raise _NotTaken(f"the operator {given!r} has no counterpart here")
    attribute = str(clause.get("sourceOperandName") or "")
    if attribute in NOT_IN_SCOPES or not re.fullmatch(ATTRIBUTE, attribute):
        raise _NotTaken(f"the attribute {attribute!r} cannot be filtered on here")
    taken: Json = {"attribute": attribute, "operator": operator.value}
    if operator in WITHOUT_VALUE:
        return taken
    operand = _object(clause, "targetOperand", path) or {}
    values = operand.get("values")
    if not isinstance(values, list) or len(values) != 1:
        raise _NotTaken(f"{given} on {attribute!r} has no value, or several")
    taken["value"] = values[0]
    return taken | ({"nullMatches": False} if operator in NEGATIONS else {})


# --- mapping --------------------------------------------------------------------------------------


def _take_mapping(result: Imported, path: str, mapping: Json) -> None:
    keys: list[tuple[int, str]] = []
    for here, given in _objects(mapping, "attributeMappings", path):
        wanted = str(given.get("targetAttributeName") or "")
        priority = given.get("matchingPriority") or 0
        is_key = isinstance(priority, int) and priority > 0
        taken = {rule["target"] for rule in result.mapping}
        try:
            rule = _rule(result, here, given, column_for(wanted, taken))
        except _NotTaken as error:
            lost = "; it was a matching attribute, too" if is_key else ""
            result.note(here, f"{wanted or 'unnamed'}: {error}{lost}")
            continue
        result.mapping.append(rule)
        if rule["target"] != wanted:
            result.note(f"{here}.targetAttributeName", f"{wanted} became {rule['target']}")
        if is_key and "constant" in rule:
            result.note(here, f"{wanted} is the same for everybody, so nobody can be matched by it")
        elif is_key:
            keys.append((priority, rule["target"]))
    _take_matching(result, path, [target for _, target in sorted(keys, key=lambda key: key[0])])
    if not result.mapping:
        result.note(path, "nothing of the mapping could be taken; keep the one you have")


def _take_matching(result: Imported, path: str, ordered: list[str]) -> None:
    result.matching = ordered[:MAX_MATCHING]
    for target in ordered[MAX_MATCHING:]:
        result.note(path, f"{target} matches, too; at most {MAX_MATCHING} keys are possible")


def _rule(result: Imported, path: str, given: Json, column: str) -> Json:
    """Translate one mapping; raises `_NotTaken`."""
    if len(result.mapping) == MAX_RULES:
        raise _NotTaken(f"a connection maps at most {MAX_RULES} columns")
    notes: list[FieldProblem] = []
    source = _object(given, "source", path)
    default = given.get("defaultValue")
    if source is None:
        rule = _filled_once(column, default)
    else:
        rule = {"target": column} | _source(source)
        notes += _flow(rule, path, given)
        notes += _nulls(rule, path, default)
    try:
        checked = MappingRule.model_validate(rule)
    except ValidationError as error:
        raise _NotTaken(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    if problems := mapping_problems([checked]):
        raise _NotTaken(problems[0].message)
    if _reads(checked, SIGN_IN_NAME):
        notes.append(FieldProblem(f"{path}.source", GUESTS_NAME))
    if _reads(checked, "manager"):
        message = "the manager is a reference to another person, not the id of the target system"
        notes.append(FieldProblem(f"{path}.source", message))
    result.notes += notes
    return rule


def _filled_once(column: str, default: Any) -> Json:
    """Entra's type "none": the target is left alone, and filled with the default while it is empty."""
    if default is None:
        raise _NotTaken("has no source and no default value, so there is nothing to write")
    return {"target": column, "constant": default, "apply": Apply.CREATE.value}


def _source(source: Json) -> Json:
    kind = str(source.get("type") or "Attribute")
    name = str(source.get("name") or "")
    if kind == "Constant":
        return {"constant": source.get("name")}
    if kind == "Attribute" and re.fullmatch(ATTRIBUTE, name):
        _check_known({name})
        return {"source": name}
    text = str(source.get("expression") or (f"[{name}]" if kind == "Attribute" else ""))
    try:
        _check_known(parse(text).attributes)
    except ExpressionError as error:
        raise _NotTaken(f"the expression cannot be used: {error}") from error
    return {"expression": text}


def _check_known(attributes: set[str] | frozenset[str]) -> None:
    for name in sorted(attributes & MADE_UP.keys()):
        raise _NotTaken(f"{name} {MADE_UP[name]}")


def _nulls(rule: Json, path: str, default: Any) -> list[FieldProblem]:
    """Entra skips nulls, so the target keeps what it has; a default counts at creation only there."""
    if "constant" in rule:
        return []
    if default is None or default == "":
        rule["whenNull"] = WhenNull.KEEP.value
        return []
    rule |= {"whenNull": WhenNull.DEFAULT.value, "default": default}
    if rule.get("apply") == Apply.CREATE.value:
        return []
    message = "Entra uses the default at creation only; here whenever the source has no value"
    return [FieldProblem(f"{path}.defaultValue", message)]


def _flow(rule: Json, path: str, given: Json) -> list[FieldProblem]:
    flow = str(given.get("flowType") or "Always")
    notes = []
    if flow in ON_CREATE:
        rule["apply"] = Apply.CREATE.value
    if flow in FLOW_NOTES:
        notes.append(FieldProblem(f"{path}.flowType", FLOW_NOTES[flow]))
    elif flow not in {"Always", *ON_CREATE}:
        notes.append(FieldProblem(f"{path}.flowType", f"{flow!r} is not known; taken as Always"))
    if given.get("flowBehavior") == "FlowAlways":
        message = "Entra writes it in every cycle; here only what differs from the table is written"
        notes.append(FieldProblem(f"{path}.flowBehavior", message))
    return notes


def _reads(rule: MappingRule, name: str) -> bool:
    """Whether a rule reads the attribute of this name, or something in it."""
    names = parse(rule.expression).names if rule.expression else {rule.source or ""}
    return any(re.split(r"[./]", read)[0] == name for read in names)
