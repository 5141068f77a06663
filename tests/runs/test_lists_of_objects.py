"""A local account's address, and who has a plan of a licence: values in lists of objects."""

import pytest

from local.graph import GraphEmulator
from sync_core.people.why import explain
from sync_core.services import Services
from tests.system import active, group_scope, rows_of, run_now, stored_connection

PLAN = "bea4c11e-220a-4e6d-8eb8-8ea15d019f90"


async def test_the_address_of_a_local_account(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    control = emulator.control
    identity = {
        "signInType": "emailAddress",
        "issuer": "contoso.onmicrosoft.com",
        "issuerAssignedId": "ann@gmail.com",
    }
    ann = control.create_person({"displayName": "Ann"})["id"]
    control.patch_person(ann, {"mail": None, "identities": [identity]})
    group = control.create_group("Local", members=[ann])["id"]
    address = "identities[signInType eq 'emailAddress'].issuerAssignedId"
    mapping = [
        {"target": "email", "source": address},
        {"target": "login", "expression": f"Coalesce([mail], [{address}])"},
    ]
    await stored_connection(services, connection_id, scope=group_scope(group), mapping=mapping)
    await run_now(services, connection_id)
    row = (await rows_of(services, connection_id))[ann]

    assert (row["email"], row["login"]) == ("ann@gmail.com", "ann@gmail.com")


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [("Enabled", "inScope", "the filter matches"), ("Suspended", "notInScope", "it is Suspended")],
)
async def test_who_has_a_plan_enabled_comes_in_and_why_names_plan_and_status(
    *,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    status: str,
    code: str,
    said: str,
) -> None:
    control = emulator.control
    ann = control.create_person({"displayName": "Ann"})["id"]
    plans = [{"servicePlanId": PLAN, "capabilityStatus": status, "service": "exchange"}]
    control.patch_person(ann, {"assignedPlans": plans})
    group = control.create_group("Licensed", members=[ann])["id"]
    scope = group_scope(group)
    attribute = f"assignedPlans[servicePlanId eq '{PLAN}'].capabilityStatus"
    clause = {"attribute": attribute, "operator": "EQUALS", "value": "Enabled"}
    scope["filters"][0]["clauses"].append(clause)
    connection = await stored_connection(services, connection_id, scope=scope)
    await run_now(services, connection_id)
    told = await explain(services, connection, ann, values_of_outsiders=True)

    assert (ann in active(await rows_of(services, connection_id))) == (status == "Enabled")
    assert told.code == code
    assert said in told.verdict
    assert told.scope is not None
    seen = told.scope.filters[0].clauses[1]
    assert (seen.attribute, seen.seen) == (attribute, status)
