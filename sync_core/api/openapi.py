"""The API's description of itself: the routes in, an OpenAPI document out."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from sync_core.api.http.answers import json_answer
from sync_core.api.http.problems import MEDIA_TYPE
from sync_core.api.http.version import VERSION
from sync_core.api.shapes import (
    BitwardenFilters,
    ConfigFile,
    EvaluateBody,
    ImportBody,
    MatchBody,
    NoteBody,
    PeopleBody,
    PreviewBody,
    Problem,
    SyncBody,
)
from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import ConnectionInput

SCHEMAS = "#/components/schemas/"
TITLE = "Entra User Sync"
DESCRIPTION = """Keeps the people of Microsoft Entra tenants in Azure Table Storage.

Every error is `application/problem+json` with a stable `code` and a `remedy`. Lists answer with `items`
and `next`; send `next` as `cursor` for the following page. In Azure, sign in through App Service
authentication with the app role Sync.Reader or Sync.Admin."""

BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "Azure: an Entra token for this app with the role Sync.Admin or Sync.Reader. "
    "Local rig: `adminToken` of the ready file.",
}

EXAMPLE = {
    "id": "contoso",
    "displayName": "Contoso",
    "enabled": True,
    "tenantId": "11111111-2222-3333-4444-555555555555",
    "clientId": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "credential": {"kind": "clientSecret", "clientSecret": "…", "expiresOn": "2027-01-31"},
    "scope": {
        "filters": [
            {
                "clauses": [
                    {
                        "attribute": "groups",
                        "operator": "ARRAYCONTAINS",
                        "value": ["9d0c5a9e-3c1b-4f0e-8b63-5a1f7e2d4c90"],
                    }
                ]
            }
        ],
        "guests": "exclude",
    },
}
PATCH_EXAMPLE = {"credential": {"clientSecret": "…", "expiresOn": "2028-01-31"}}


def problem_answer(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}{Problem.__name__}"}}},
    }


def json_body(
    model: type[Document], example: Mapping[str, Any], *, required: bool
) -> dict[str, Any]:
    """Describe a body; it is read by the routes themselves, which tell 400, 415 and 422 apart."""
    schema = {"$ref": f"{SCHEMAS}{model.__name__}"}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": required, "content": content}}


CONNECTION_BODY = json_body(ConnectionInput, EXAMPLE, required=True)
PREVIEW_BODY = json_body(PreviewBody, {"scope": EXAMPLE["scope"]}, required=False)
SYNC_BODY = json_body(SyncBody, {"mode": "auto"}, required=False)
MATCH_BODY = json_body(MatchBody, {"decision": "link", "row": "contoso-a|app-17"}, required=True)
PICKED_BODY = json_body(
    ImportBody,
    {
        "objectIds": ["6d2f5a80-1c3b-4e5f-8a9d-7b6c5d4e3f21"],
        "until": "2027-01-31",
        "note": "Help over the holidays",
    },
    required=True,
)
PEOPLE_BODY = json_body(PeopleBody, {"who": ["ann@contoso.com"]}, required=True)
NOTE_BODY = json_body(NoteBody, {"note": "Back to the rules"}, required=False)
PATCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "object"}, "example": PATCH_EXAMPLE}
            for kind in ("application/merge-patch+json", "application/json")
        },
    }
}


CONFIG_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"$ref": f"{SCHEMAS}{ConfigFile.__name__}"}}
            for kind in ("application/yaml", "application/json")
        },
    }
}

EVALUATE_BODY = json_body(
    EvaluateBody,
    {
        "expression": "Coalesce([mail], [userPrincipalName])",
        "attributes": {"mail": None, "userPrincipalName": "ann@contoso.com"},
    },
    required=True,
)

IMPORT_BODY = {
    "requestBody": {
        "required": True,
        "description": "A synchronizationSchema as Graph gives it and the Entra portal downloads it.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}

BITWARDEN_BODY = json_body(
    BitwardenFilters,
    {
        "userFilter": "includeGroup:9d0c5a9e-3c1b-4f0e-8b63-5a1f7e2d4c90|exclude:svc@contoso.com",
        "groupFilter": None,
    },
    required=True,
)


def describe(app: FastAPI) -> dict[str, Any]:
    """Describe every route; made once a process."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=TITLE,
            version=VERSION,
            description=DESCRIPTION,
            routes=app.routes,
            separate_input_output_schemas=False,
        )
        _, bodies = models_json_schema(
            [
                (ConnectionInput, "validation"),
                (SyncBody, "validation"),
                (EvaluateBody, "validation"),
                (BitwardenFilters, "validation"),
                (MatchBody, "validation"),
                (ImportBody, "validation"),
                (PeopleBody, "validation"),
                (NoteBody, "validation"),
                (PreviewBody, "validation"),
                (Problem, "validation"),
            ],
            ref_template=f"{SCHEMAS}{{model}}",
        )
        components = document["components"]
        components["schemas"] = bodies["$defs"] | components["schemas"]
        components["securitySchemes"] = {"bearer": BEARER}
        app.openapi_schema = document
    return app.openapi_schema


async def get_openapi_document(request: Request) -> Response:
    """Load this description."""
    return json_answer(describe(request.app), headers={"Cache-Control": "private, max-age=300"})
