"""The sync as the SDKs' samples would write it: typed models, and one upsert for every person.

It reads as learn.microsoft.com/graph/sdks/paging shows (`PageIterator`, with the largest page, which
is in its favour) and writes as the samples of azure-data-tables do (`upsert_entity`). It asks for the
properties that the product asks for and stores the same values. It has no scope, no comparison, no
history and no guard, so it writes everybody every time.

Environment in; one JSON object with its costs out.
"""

import asyncio
import json
import os
from dataclasses import asdict

from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import ClientSecretCredential
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph.generated.models.user import User
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core.tasks.page_iterator import PageIterator

from benchmarks.cost import measured
from local.sample import SAMPLE_CLIENT_ID, SAMPLE_CLIENT_SECRET, SAMPLE_TENANT_ID

# What the product selects for its default mapping.
SELECT = [
    "accountEnabled",
    "department",
    "displayName",
    "employeeId",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "userType",
]


async def read(client: GraphServiceClient, top: int) -> list[User]:
    """Read everybody, page by page."""
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(select=SELECT, top=top)
    configuration = UsersRequestBuilder.UsersRequestBuilderGetRequestConfiguration(
        query_parameters=query
    )
    users: list[User] = []

    def keep(user: User) -> bool:
        users.append(user)
        return True

    first_page = await client.users.get(request_configuration=configuration)
    iterator = PageIterator(first_page, client.request_adapter)
    await iterator.iterate(keep)
    return users


def to_entity(user: User) -> dict[str, str | bool | None]:
    return {
        "PartitionKey": SAMPLE_TENANT_ID,
        "RowKey": user.id,
        "accountEnabled": user.account_enabled,
        "userName": user.user_principal_name,
        "email": user.mail or user.user_principal_name,
        "givenName": user.given_name,
        "familyName": user.surname,
        "displayName": user.display_name,
        "department": user.department,
        "jobTitle": user.job_title,
        "employeeId": user.employee_id,
        "mobilePhone": user.mobile_phone,
        "preferredLanguage": user.preferred_language,
    }


async def main() -> None:
    graph_url = os.environ["GRAPH_ENDPOINT"]
    credential = ClientSecretCredential(
        SAMPLE_TENANT_ID,
        SAMPLE_CLIENT_ID,
        SAMPLE_CLIENT_SECRET,
        authority=os.environ["AZURE_AUTHORITY_HOST"],
        disable_instance_discovery=True,
    )
    provider = AzureIdentityAuthenticationProvider(
        credential, scopes=["https://graph.microsoft.com/.default"], allowed_hosts=["localhost"]
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{graph_url}/v1.0"
    client = GraphServiceClient(request_adapter=adapter)
    account = os.environ["AzureWebJobsStorage"]  # noqa: SIM112 -- the name that Functions gives it
    tables = TableServiceClient.from_connection_string(account)
    async with credential, tables:
        table = await tables.create_table_if_not_exists("NaiveUsers")
        with measured() as reading:
            users = await read(client, top=999)
        with measured() as writing:
            for user in users:
                await table.upsert_entity(to_entity(user))
    costs = {"reading": asdict(reading), "writing": asdict(writing), "written": len(users)}
    print(json.dumps(costs))


if __name__ == "__main__":
    asyncio.run(main())
