"""`?confirm=`: the plan over the guard's limit that a caller has looked at and means."""

from typing import Annotated

from fastapi import Query

Confirm = Annotated[
    list[str] | None,
    Query(
        description="The `planHash` of a plan over the guard's limit that is meant so; several for a "
        "file of several connections."
    ),
]
