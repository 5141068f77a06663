"""Why Graph refused access: its code in, an error with the remedy that can help out. Pure.

Only some refusals are about a permission that has not been granted. Others are a licence, a policy, or
something that the tenant's administrators have restricted; telling them to grant what is granted, or to
wait, would never end.
"""

from sync_core.domain.connections.permissions import permission_names
from sync_core.domain.errors import FixConnection

NO_LICENCE = "authentication_requestfromnonpremiumtenantorb2ctenant"
OTHER_PERMISSION = "authentication_msgraphpermissionmissing"
# Graph has no code of its own for a policy: the words stand in the sentence, or Entra's number does.
# learn.microsoft.com/entra/identity/conditional-access/concept-continuous-access-evaluation-workload
POLICY_WORDS = ("conditional access", "continuous access", "locationcondition", "aadsts53003")


class PermissionMissing(FixConnection):
    """The application permission that a request needs is not granted, as far as Graph tells."""

    def __init__(self, needs: str, detail: str) -> None:
        super().__init__(
            "graph.permissionMissing",
            f"Graph refused access; the app registration needs the permission {needs}. ({detail})",
            f"In Entra, add the application permission {needs} to the app registration and grant "
            "admin consent; then check the connection.",
        )
        self.needs = needs
        self.detail = detail


def denied(code: str, message: str, detail: str, needs: str) -> FixConnection:
    """Say what a 403 means; `needs` is the permission that the request is known to require."""
    if code.lower() == NO_LICENCE:
        return FixConnection(
            "graph.licenceMissing",
            "Graph refused access: something that was asked for, such as signInActivity, needs a licence "
            f"that the tenant does not have (Microsoft Entra ID P1 or P2). ({detail})",
            "Take signInActivity out of the connection's scope and mapping, or let the tenant get the "
            "licence. Granting permissions does not help.",
        )
    if speaks_of_policy(message):
        return blocked(detail)
    named = permission_names(message) if code.lower() == OTHER_PERMISSION else []
    return PermissionMissing(" and ".join(dict.fromkeys(named)) or needs, detail)


def speaks_of_policy(message: str) -> bool:
    """Whether Graph's sentence tells of Conditional Access."""
    return any(word in message.lower() for word in POLICY_WORDS)


def blocked(detail: str) -> FixConnection:
    """Return the error of an app that a Conditional Access policy keeps out."""
    return FixConnection("graph.blockedByPolicy", f"{BLOCKED} ({detail})", BLOCKED_REMEDY)


def denied_all_the_same(error: PermissionMissing) -> FixConnection:
    """Return the error for a refusal although a new token has the permission."""
    return FixConnection(
        "graph.accessDenied",
        f"Graph refused access although the token has the permission {error.needs}. ({error.detail})",
        "Granting it again does not help. Look in Entra for what restricts the app: a policy, a restricted "
        "management administrative unit, a group that hides its members. If nothing does, ask Microsoft's "
        "support, with what Graph answered.",
    )


BLOCKED = "A Conditional Access policy of the tenant blocks the app."
BLOCKED_REMEDY = (
    "Let an administrator of the tenant exempt the app, or allow the addresses it calls from. Granting "
    "permissions does not help."
)
