"""All permissions that are missing, where one of them has stopped a run."""

from sync_core.directory.client import GraphClient
from sync_core.domain.connections.permissions import needs_of, permissions
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FixConnection, SyncError

ABOUT_PERMISSIONS = frozenset({"graph.permissionMissing", "graph.limitedInformation"})


async def with_all_missing(
    client: GraphClient, connection: Connection, error: SyncError
) -> SyncError:
    """Return the same error, or one that names everything that the connection lacks, not only the first."""
    if error.code not in ABOUT_PERMISSIONS:
        return error
    try:
        roles = await client.grants.roles()
    except SyncError:
        return error
    needed = permissions(needs_of(connection)) if roles is not None else []
    missing = [one.names[0] for one in needed if not one.granted(roles or frozenset())]
    if len(missing) < 2:
        return error
    names = f"{', '.join(missing[:-1])} and {missing[-1]}"
    return FixConnection(
        error.code,
        f"The app registration lacks the permissions {names}. Nothing was changed. ({error.message})",
        f"In Entra, add the application permissions {names} to the app registration and grant admin "
        "consent; then check the connection.",
    )
