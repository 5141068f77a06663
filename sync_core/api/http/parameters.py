"""Query parameters that a call does not know: refused like unknown fields, since a misspelt one is meant.

`DELETE ...?user=delete` must not be taken for the deletion that keeps the people.
"""

from fastapi import Request
from fastapi.dependencies.models import Dependant

from sync_core.domain.errors import FieldProblem, Invalid


async def refuse_unknown(request: Request) -> None:
    """Raise `Invalid` for parameters that the route of this request does not have."""
    known = known_parameters(request.scope["route"].dependant)
    unknown = sorted(set(request.query_params) - set(known))
    if not unknown:
        return
    takes = f"this call takes {', '.join(known)}" if known else "this call takes none"
    message = f"is not a known parameter; check the spelling ({takes})"
    raise Invalid(
        "The request has parameters that this call does not know.",
        [FieldProblem(name, message) for name in unknown],
    )


def known_parameters(dependant: Dependant) -> list[str]:
    """Return the names of a call's query parameters, those of its dependencies as well."""
    inner = [name for one in dependant.dependencies for name in known_parameters(one)]
    return list(dict.fromkeys([*(one.alias for one in dependant.query_params), *inner]))
