"""The people of a sample directory, never stored: (seed, number) in, a property's value out.

Only 24 random bytes are kept for each person (an object id and a number that decides the rest), so
a directory of a million people starts in seconds. Changes made later live in ``directory.py``.
"""

import random
from array import array
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from local.graph.directory.names import Name, ascii_address, name_of, number_of
from local.sample import SAMPLE_PLAN_ID, SAMPLE_SKU_ID

Value = object

_VERSION_4 = bytes((b & 0x0F) | 0x40 for b in range(256))
_VARIANT = bytes((b & 0x3F) | 0x80 for b in range(256))

DEPARTMENTS = (
    "Engineering", "Sales", "Finance", "Human Resources", "Marketing", "Legal", "Support",
    "Operations",
)  # fmt: skip
TITLES = (
    "Engineer", "Senior Engineer", "Account Manager", "Analyst", "Director", "Assistant",
    "Team Lead", "Consultant", "Ingénieur d'études", "Geschäftsführer",
)  # fmt: skip
# city, country, usageLocation, preferredLanguage, dialling prefix
PLACES = (
    ("Zürich", "Switzerland", "CH", "de-CH", "+41 44"),
    ("København", "Denmark", "DK", "da-DK", "+45 33"),
    ("São Paulo", "Brazil", "BR", "pt-BR", "+55 11"),
    ("Αθήνα", "Greece", "GR", "el-GR", "+30 21"),
    ("東京", "Japan", "JP", "ja-JP", "+81 3"),
    ("Seattle", "United States", "US", "en-US", "+1 206"),
    ("Łódź", "Poland", "PL", "pl-PL", "+48 42"),
    ("Lagos", "Nigeria", "NG", "en-NG", "+234 1"),
)
GUEST_HOMES = ("fabrikam.com", "gmail.com", "tailspintoys.com")
ROOMS = ("Room", "Salle", "Sitzungszimmer", "会議室")
MAILBOXES = ("Invoices", "Info", "Jobs", "Service Désk")


class Kind(IntEnum):
    EMPLOYEE = 0
    GUEST = 1
    SHARED_MAILBOX = 2
    ROOM = 3


def kind_of(number: int) -> Kind:
    """One in 16 is a guest, one in 48 a shared mailbox and one in 48 a room."""
    if number % 16 == 5:
        return Kind.GUEST
    if number % 48 == 11:
        return Kind.SHARED_MAILBOX
    return Kind.ROOM if number % 48 == 29 else Kind.EMPLOYEE


def is_blocked(number: int) -> bool:
    """Rooms and shared mailboxes cannot sign in, and neither can one employee in 25."""
    kind = kind_of(number)
    return kind in (Kind.SHARED_MAILBOX, Kind.ROOM) or (kind is Kind.EMPLOYEE and number % 25 == 7)


def is_old(number: int) -> bool:
    """Accounts from before 2014 have no userType."""
    return number % 83 == 2 and kind_of(number) is Kind.EMPLOYEE


class People:
    """The generated people ``0 .. count-1``; a person is addressed by number."""

    def __init__(
        self, *, count: int, seed: int, domain: str, initial_domain: str, cost_center: str
    ) -> None:
        self.count = count
        self.seed = seed
        self.domain = domain
        self.initial_domain = initial_domain
        self.cost_center = cost_center
        ids = bytearray(random.Random(f"{domain}/{seed}/ids").randbytes(16 * count))
        ids[6::16] = ids[6::16].translate(_VERSION_4)
        ids[8::16] = ids[8::16].translate(_VARIANT)
        self._ids = bytes(ids)
        self._facts = array("Q")
        self._facts.frombytes(random.Random(f"{domain}/{seed}/facts").randbytes(8 * count))
        self._numbers = {
            self._ids[start : start + 16]: start // 16 for start in range(0, 16 * count, 16)
        }
        self._properties = _PROPERTIES | {cost_center: _cost_center}

    def object_id(self, number: int) -> str:
        plain = self._ids[16 * number : 16 * number + 16].hex()
        return f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"

    def number_by_id(self, object_id: str) -> int | None:
        try:
            return self._numbers.get(bytes.fromhex(object_id.replace("-", "")))
        except ValueError:
            return None

    def number_by_principal_name(self, principal_name: str) -> int | None:
        """Inverts the way in which principal names are made; the result is checked."""
        local, _, _ = principal_name.lower().partition("@")
        if local.startswith(("room.", "shared.")):
            tail = local.partition(".")[2]
            found = int(tail) if tail.isdecimal() else None
        else:
            address, mark, _ = local.partition("#ext#")
            found = number_of(address.rpartition("_")[0] if mark else address, self.seed)
        if found is None or not found < self.count:
            return None
        mine = str(self.value(found, "userPrincipalName"))
        return found if mine.lower() == principal_name.lower() else None

    def value(self, number: int, name: str) -> Value:
        """What the directory holds for a property; None for everything that is not set."""
        render = self._properties.get(name)
        return render(self, number) if render else None

    def fact(self, number: int) -> int:
        """64 random bits that decide what is not decided by the number itself."""
        return self._facts[number]

    def name(self, number: int) -> Name:
        return name_of(number, self.seed)

    def manager_of(self, number: int) -> int | None:
        """Seven people report to one; the first employee and everybody without a desk to none."""
        if kind_of(number) is not Kind.EMPLOYEE:
            return None
        manager = (number - 1) // 7
        while manager >= 0 and kind_of(manager) is not Kind.EMPLOYEE:
            manager -= 1
        return manager if 0 <= manager < number else None


def department_of(people: People, number: int) -> str | None:
    kind = kind_of(number)
    if kind is not Kind.EMPLOYEE:
        return None
    fact = people.fact(number)
    return None if fact % 29 == 0 else DEPARTMENTS[fact % len(DEPARTMENTS)]


def _place(people: People, number: int) -> tuple[str, str, str, str, str]:
    return PLACES[(people.fact(number) >> 8) % len(PLACES)]


def _display_name(people: People, number: int) -> Value:
    kind = kind_of(number)
    if kind is Kind.ROOM:
        return f"{ROOMS[number // 48 % len(ROOMS)]} {number}"
    if kind is Kind.SHARED_MAILBOX:
        return f"{MAILBOXES[number // 48 % len(MAILBOXES)]} {number}"
    name = people.name(number)
    return f"{name.given} {name.surname}"


def _mail_nickname(people: People, number: int) -> str:
    kind = kind_of(number)
    if kind is Kind.ROOM:
        return f"room.{number}"
    if kind is Kind.SHARED_MAILBOX:
        return f"shared.{number}"
    address = people.name(number).address
    if kind is Kind.GUEST:
        return f"{address}_{GUEST_HOMES[number // 16 % len(GUEST_HOMES)]}#EXT#"
    return address


def _principal_name(people: People, number: int) -> Value:
    domain = people.initial_domain if kind_of(number) is Kind.GUEST else people.domain
    return f"{_mail_nickname(people, number)}@{domain}"


def _mail(people: People, number: int) -> str | None:
    kind = kind_of(number)
    if kind is Kind.GUEST:
        return f"{people.name(number).address}@{GUEST_HOMES[number // 16 % len(GUEST_HOMES)]}"
    if kind is Kind.EMPLOYEE and (people.fact(number) >> 16) % 10 == 0:
        return None
    return f"{_mail_nickname(people, number)}@{people.domain}"


def _proxy_addresses(people: People, number: int) -> Value:
    mail = _mail(people, number)
    if mail is None:
        return []
    second = [f"smtp:{_mail_nickname(people, number)}@{people.initial_domain}"]
    return [f"SMTP:{mail}", *(second if kind_of(number) is not Kind.GUEST else [])]


def _business_phones(people: People, number: int) -> Value:
    fact = people.fact(number) >> 20
    if kind_of(number) is not Kind.EMPLOYEE or fact % 10 < 3:
        return []
    return [f"{_place(people, number)[4]} {fact % 900 + 100} {fact % 9000 + 1000}"]


def _mobile_phone(people: People, number: int) -> Value:
    fact = people.fact(number) >> 24
    if kind_of(number) is not Kind.EMPLOYEE or fact % 2:
        return None
    return f"{_place(people, number)[4]} 7{fact % 10_000_000:07d}"


def _employee_id(_: People, number: int) -> Value:
    if kind_of(number) is not Kind.EMPLOYEE or number % 31 == 3:
        return None
    # A number given twice: the source systems of real tenants do that.
    return str(100_000 + (number - 1 if number % 97 == 13 else number))


def _job_title(people: People, number: int) -> Value:
    fact = people.fact(number) >> 28
    return None if kind_of(number) is not Kind.EMPLOYEE or fact % 13 == 0 else TITLES[fact % 10]


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _created(people: People, number: int) -> Value:
    first = datetime(2012 if is_old(number) else 2015, 1, 1, tzinfo=UTC)
    days = 600 if is_old(number) else 4000
    seconds = (people.fact(number) >> 12) % (days * 86400)
    return timestamp(first + timedelta(seconds=seconds))


def _hired(people: People, number: int) -> Value:
    fact = people.fact(number) >> 32
    if kind_of(number) is not Kind.EMPLOYEE or fact % 5 == 0:
        return None
    return timestamp(datetime(2010, 1, 1, tzinfo=UTC) + timedelta(days=fact % 6000))


def _is_synced(people: People, number: int) -> bool:
    return kind_of(number) is Kind.EMPLOYEE and bool((people.fact(number) >> 36) & 1)


def _extension_attributes(people: People, number: int) -> Value:
    attributes: dict[str, str | None] = {f"extensionAttribute{n}": None for n in range(1, 16)}
    fact = people.fact(number) >> 40
    if kind_of(number) is Kind.EMPLOYEE:
        attributes["extensionAttribute1"] = ("Internal", "External", None)[fact % 3]
        attributes["extensionAttribute7"] = f"L{fact % 5 + 1}" if fact % 4 else None
    return attributes


def _cost_center(people: People, number: int) -> Value:
    fact = people.fact(number) >> 44
    return f"CC-{fact % 40 + 1000}" if kind_of(number) is Kind.EMPLOYEE and fact % 2 else None


def _employee_only(render: Callable[[People, int], Value]) -> Callable[[People, int], Value]:
    return lambda people, number: (
        render(people, number) if kind_of(number) is Kind.EMPLOYEE else None
    )


def _synced_only(render: Callable[[People, int], Value]) -> Callable[[People, int], Value]:
    return lambda people, number: render(people, number) if _is_synced(people, number) else None


def _named(render: Callable[[Name], str]) -> Callable[[People, int], Value]:
    return lambda people, number: (
        render(people.name(number)) if kind_of(number) in (Kind.EMPLOYEE, Kind.GUEST) else None
    )


def _guest_state(people: People, number: int) -> Value:
    if kind_of(number) is not Kind.GUEST:
        return None
    return "PendingAcceptance" if people.fact(number) % 4 == 0 else "Accepted"


def _identities(people: People, number: int) -> Value:
    return [
        {
            "signInType": "userPrincipalName",
            "issuer": people.initial_domain,
            "issuerAssignedId": _principal_name(people, number),
        }
    ]


def _licence(people: People, number: int) -> tuple[list[Value], str | None] | None:
    """What somebody has of the sample subscription, with the state of its service: all cases occur."""
    if kind_of(number) is not Kind.EMPLOYEE:
        return None
    disabled = {"skuId": SAMPLE_SKU_ID, "disabledPlans": [SAMPLE_PLAN_ID]}
    whole = {"skuId": SAMPLE_SKU_ID, "disabledPlans": []}
    cases: tuple[tuple[list[Value], str | None], ...] = (
        ([whole], "Enabled"),
        ([disabled], "Deleted"),
        ([whole], "Suspended"),
        ([], "Deleted"),
        ([], None),
    )
    chosen = people.fact(number) >> 48
    return cases[0] if chosen % 3 else cases[chosen // 3 % len(cases)]


def _assigned_licenses(people: People, number: int) -> Value:
    licence = _licence(people, number)
    return [] if licence is None else licence[0]


def _assigned_plans(people: People, number: int) -> Value:
    """A plan that was taken away stays in the list, as Deleted: resources/assignedplan."""
    licence = _licence(people, number)
    if licence is None or licence[1] is None:
        return []
    return [
        {
            "assignedDateTime": "2023-02-01T08:00:00Z",
            "capabilityStatus": licence[1],
            "service": "exchange",
            "servicePlanId": SAMPLE_PLAN_ID,
        }
    ]


_PROPERTIES: dict[str, Callable[[People, int], Value]] = {
    "id": lambda people, number: people.object_id(number),
    "accountEnabled": lambda _, number: not is_blocked(number),
    "assignedLicenses": _assigned_licenses,
    "assignedPlans": _assigned_plans,
    "businessPhones": _business_phones,
    "city": _employee_only(lambda people, number: _place(people, number)[0]),
    "companyName": _employee_only(
        lambda people, number: people.domain.split(".")[0].title() if number % 3 else None
    ),
    "country": _employee_only(lambda people, number: _place(people, number)[1]),
    "createdDateTime": _created,
    "creationType": lambda _, number: "Invitation" if kind_of(number) is Kind.GUEST else None,
    "department": department_of,
    "displayName": _display_name,
    "employeeHireDate": _hired,
    "employeeId": _employee_id,
    "employeeOrgData": _employee_only(
        lambda _, number: (
            {"division": "EMEA", "costCenter": str(number % 90)} if number % 7 == 0 else None
        )
    ),
    "employeeType": _employee_only(
        lambda people, number: "Contractor" if people.fact(number) % 11 == 0 else "Employee"
    ),
    "externalUserState": _guest_state,
    "givenName": _named(lambda name: name.given),
    "identities": _identities,
    "imAddresses": lambda _, __: [],
    "jobTitle": _job_title,
    "mail": _mail,
    "mailNickname": _mail_nickname,
    "mobilePhone": _mobile_phone,
    "officeLocation": _employee_only(
        lambda people, number: f"{number % 40}/{people.fact(number) % 2000}" if number % 4 else None
    ),
    "onPremisesDistinguishedName": _synced_only(
        lambda people, number: (
            f"CN={people.name(number).given} {people.name(number).surname},OU=People,DC=corp"
        )
    ),
    "onPremisesExtensionAttributes": _extension_attributes,
    "onPremisesImmutableId": _synced_only(lambda people, number: f"{people.fact(number):022x}=="),
    "onPremisesSamAccountName": _synced_only(
        lambda people, number: ascii_address(people.name(number).address)[:20]
    ),
    "onPremisesSecurityIdentifier": _synced_only(
        lambda _, number: f"S-1-5-21-397955417-62688-{1000 + number}"
    ),
    "onPremisesSyncEnabled": _synced_only(lambda _, __: True),
    "otherMails": lambda people, number: (
        [str(_mail(people, number))] if kind_of(number) is Kind.GUEST else []
    ),
    "postalCode": _employee_only(lambda people, number: f"{people.fact(number) % 90000 + 10000}"),
    "preferredLanguage": _employee_only(
        lambda people, number: _place(people, number)[3] if number % 5 else None
    ),
    "proxyAddresses": _proxy_addresses,
    "streetAddress": _employee_only(
        lambda people, number: f"Hauptstraße {people.fact(number) % 200 + 1}"
    ),
    "surname": _named(lambda name: name.surname),
    "usageLocation": _employee_only(lambda people, number: _place(people, number)[2]),
    "userPrincipalName": _principal_name,
    "userType": lambda _, number: (
        "Guest" if kind_of(number) is Kind.GUEST else None if is_old(number) else "Member"
    ),
}
