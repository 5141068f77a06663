"""What everybody may know of the sample tenants: ids, secrets, domains, roles.

The Graph emulator builds its directories from these; tests, benchmarks and the local rig use them
to sign in. None of it opens anything outside the emulator.
"""

import uuid

SAMPLE_TENANT_ID = "c0570500-5a3e-4d1f-9b7a-0d6a5c1e7a01"
SAMPLE_CLIENT_ID = "5a3b1e00-91c4-4f7e-8d2b-6b1f0c9e2d11"
SAMPLE_CLIENT_SECRET = "smp8Q~contoso-sample-secret-value-0001"
SAMPLE_ROLES = ["User.Read.All", "Group.Read.All"]
SAMPLE_DOMAIN = "contoso.com"
SAMPLE_INITIAL_DOMAIN = "contoso.onmicrosoft.com"

FABRIKAM_TENANT_ID = "fab21ca0-7d42-4c9b-a5e1-3f0b8d2c6e02"
FABRIKAM_CLIENT_ID = "fab31e00-2c8d-4a6f-b1e7-94d0a7c3f512"
FABRIKAM_CLIENT_SECRET = "fab8Q~fabrikam-sample-secret-value-0002"
FABRIKAM_DOMAIN = "fabrikam.com"
FABRIKAM_INITIAL_DOMAIN = "fabrikam.onmicrosoft.com"
FABRIKAM_PEOPLE = 40
FABRIKAM_GROUPS = 4

# A vendor whose application customers let in by admin consent: known in the vendor's tenant only,
# until an administrator of another one agrees.
VENDOR_TENANT_ID = "117ea2e0-6b1f-4d5c-9e2a-7c8d9f0a1b04"
VENDOR_CLIENT_ID = "117ea2e1-8a4d-4c3b-b0f6-2e5d1c9a7f14"
VENDOR_CLIENT_SECRET = "vnd8Q~litware-sample-secret-value-0003"
VENDOR_APP_NAME = "Litware People Sync"
VENDOR_DOMAIN = "litware.com"
VENDOR_INITIAL_DOMAIN = "litware.onmicrosoft.com"
VENDOR_PEOPLE = 10
VENDOR_GROUPS = 1

# Registered for every sample app; the port of a localhost address does not matter to Entra.
SAMPLE_REDIRECT_URI = "http://localhost/api/consent/callback"

# The app that registered the directory extension; its id is a part of the property's name.
EXTENSION_APP_ID = "e7e25100-0b6d-4a52-9c3f-8a1d4e5f6a7b"
COST_CENTER = f"extension_{EXTENSION_APP_ID.replace('-', '')}_costCenter"
# A schema extension: its id is chosen by Graph, and its value is an object.
SCHEMA_EXTENSION = "extq7d3k1pz_payroll"

# Entra refuses these with AADSTS90038: they are registered in another national cloud.
OTHER_CLOUD_TENANT_ID = "0c10ad00-6f1e-4b0c-8a57-1d2e3f4a5b03"
DOD_TENANT_ID = "0c10ad01-6f1e-4b0c-8a57-1d2e3f4a5b05"
CHINA_TENANT_ID = "0c10ad02-6f1e-4b0c-8a57-1d2e3f4a5b06"

# A subscription that the sample people have, and one of the services in it.
SAMPLE_SKU_ID = "5c0a11ce-4d2b-4f0e-9b6a-2e1d3c4b5a07"
SAMPLE_PLAN_ID = "b1a40000-8c3d-4e5f-a0b1-c2d3e4f5a608"

_GROUPS = uuid.UUID("9d0c5a9e-3c1b-4f0e-8b63-5a1f7e2d4c90")


def sample_group_id(number: int, tenant_id: str = SAMPLE_TENANT_ID) -> str:
    """The object id of the n-th sample group (0 is the group of the sample connection)."""
    return str(uuid.uuid5(_GROUPS, f"{tenant_id}/{number}"))


# "App users": holds people directly and most of them through nested groups.
SAMPLE_GROUP_ID = sample_group_id(0)
