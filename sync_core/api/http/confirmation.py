"""`?confirm=`, the plan over the guard's limit that a caller means, and `?reason=`, why they mean it."""

from typing import Annotated

from fastapi import Query
from pydantic import StringConstraints

MAX_HASH = 200
PlanHash = Annotated[str, StringConstraints(max_length=MAX_HASH)]
Confirm = Annotated[
    list[PlanHash] | None,
    Query(
        max_length=1_000,
        description="The `planHash` of a plan over the guard's limit that is meant so; several for a "
        "file of several connections.",
    ),
]
Why = Annotated[
    str | None,
    Query(
        description="Why it is done; kept for good with the caller.", min_length=3, max_length=500
    ),
]
Reason = Annotated[
    str | None,
    Query(
        description="Why a limit of the guard is taken away (null, or 100 %); kept for good with the caller.",
        min_length=3,
        max_length=500,
    ),
]
