"""Attributes that a connection names: whether Graph has them, before the directory is read with them."""

import asyncio
from dataclasses import replace

from sync_core.directory.attributes import read_schema
from sync_core.domain.connections.checks import CheckResult
from sync_core.domain.connections.unknown_attributes import (
    attributes_named,
    needs_schema,
    unknown_attributes,
)
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FieldProblem, SyncError
from sync_core.logs import log_event
from sync_core.services import Services

# Somebody waits for the answer; Graph itself still refuses what was not looked up in time.
SCHEMA_PATIENCE_S = 10.0
ATTRIBUTE_UNKNOWN = "graph.attributeUnknown"


async def attribute_problems(
    services: Services, connection: Connection, known: Connection | None = None
) -> list[FieldProblem]:
    """Say which attributes Graph does not have, and what may be meant; nothing where it does not answer.

    What the `known` connection names already is left alone: it must stay editable.
    """
    before = {name for _, name in attributes_named(known)} if known else set()
    named = [(path, name) for path, name in attributes_named(connection) if name not in before]
    if not needs_schema(named):
        return []
    little = replace(services.directory.retry_budget(), budget_s=SCHEMA_PATIENCE_S)
    try:
        async with (
            asyncio.timeout(SCHEMA_PATIENCE_S),
            services.directory.open(connection, little) as client,
        ):
            properties = await read_schema(client, services.clock())
    except TimeoutError:
        log_event("attributes.notLookedUp", connection=connection.id, code="timeout")
    except SyncError as error:
        log_event("attributes.notLookedUp", connection=connection.id, code=error.code)
    else:
        return unknown_attributes(named, properties)
    return []


async def with_suggestions(
    services: Services, connection: Connection, result: CheckResult
) -> CheckResult:
    """Return a check's result that says where an attribute is named that Graph does not have."""
    if all(check.code != ATTRIBUTE_UNKNOWN for check in result.checks):
        return result
    problems = await attribute_problems(services, connection)
    told = "; ".join(f"{problem.path}: {problem.message}" for problem in problems)
    checks = [
        check.model_copy(update={"message": told})
        if told and check.code == ATTRIBUTE_UNKNOWN
        else check
        for check in result.checks
    ]
    return result.model_copy(update={"checks": checks})
