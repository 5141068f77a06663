"""`?confirm=`, the plan over the guard's limit that a caller means, and `?reason=`, why a limit goes."""

from typing import Annotated

from fastapi import Query

Confirm = Annotated[
    list[str] | None,
    Query(
        description="The `planHash` of a plan over the guard's limit that is meant so; several for a "
        "file of several connections."
    ),
]
Reason = Annotated[
    str | None,
    Query(
        description="Why a limit of the guard is taken away (null, or 100 %); logged with the caller.",
        min_length=3,
        max_length=500,
    ),
]
