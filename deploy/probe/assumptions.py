"""What we assume of Microsoft Graph and only a tenant can confirm: questions with three possible answers.

Most of it nobody documents, or sources disagree; the emulator behaves as we assume. Nothing here writes,
and nothing that is returned has a name or an id in it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from deploy.probe.reading import EVENTUAL, NOBODY, Reply, Tenant

# learn.microsoft.com/graph/api/resources/user, without those that are given for one person at a time.
PROPERTIES = (
    "accountEnabled", "ageGroup", "assignedLicenses", "assignedPlans", "businessPhones", "city",
    "companyName", "consentProvidedForMinor", "country", "createdDateTime", "creationType",
    "department", "displayName", "employeeHireDate", "employeeId", "employeeOrgData",
    "employeeType", "externalUserState", "externalUserStateChangeDateTime", "faxNumber",
    "givenName", "id", "identities", "imAddresses", "isResourceAccount", "jobTitle",
    "lastPasswordChangeDateTime", "legalAgeGroupClassification", "licenseAssignmentStates", "mail",
    "mailNickname", "mobilePhone", "officeLocation", "onPremisesDistinguishedName",
    "onPremisesDomainName", "onPremisesExtensionAttributes", "onPremisesImmutableId",
    "onPremisesLastSyncDateTime", "onPremisesProvisioningErrors", "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "onPremisesUserPrincipalName",
    "otherMails", "passwordPolicies", "postalCode", "preferredDataLocation", "preferredLanguage",
    "provisionedPlans", "proxyAddresses", "securityIdentifier", "showInAddressList",
    "signInSessionsValidFromDateTime", "state", "streetAddress", "surname", "usageLocation",
    "userPrincipalName", "userType",
)  # fmt: skip
REFUSED_IN_DELTA = "signInActivity"
ONE_AT_A_TIME = "aboutMe"
PAGE = 999
DELTA_PAGE = 200
MOST_VALUES, MOST_IDS = 15, 50
LINK, NEXT = "@odata.deltaLink", "@odata.nextLink"
COUNT = "@odata.count"


class Verdict(StrEnum):
    HOLDS = "holds"
    DIFFERS = "DIFFERS"
    UNKNOWN = "cannot be told"


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer, and what it rests on."""

    verdict: Verdict
    evidence: str


@dataclass(frozen=True, slots=True)
class Assumption:
    """What we assume, and how it is looked at."""

    says: str
    look: Callable[[Tenant], Seen]


def judged(reply: Reply, evidence: str = "", *, holds: bool) -> Seen:
    """Return what a reply shows; throttling, a fault or a lost permission shows nothing."""
    if reply.status in (401, 403, 429) or reply.status >= 500:
        return Seen(Verdict.UNKNOWN, reply.told)
    told = f"{reply.told}{', ' if evidence else ''}{evidence}"
    return Seen(Verdict.HOLDS if holds else Verdict.DIFFERS, told)


def unknown(why: str) -> Seen:
    return Seen(Verdict.UNKNOWN, why)


def refused(reply: Reply, *codes: str) -> Seen:
    """Return whether a request was refused with 400 and one of these codes."""
    if reply.status == 403:
        return unknown(reply.told)
    return judged(reply, holds=reply.status == 400 and reply.code in codes)


def token_tells_roles(tenant: Tenant) -> Seen:
    if not tenant.roles:
        return Seen(Verdict.DIFFERS, "the token shows no roles, or cannot be read")
    return Seen(Verdict.HOLDS, ", ".join(sorted(tenant.roles)))


def pages_of_users(tenant: Tenant) -> Seen:
    reply = tenant.get(f"users?$select=id&$top={PAGE}")
    if reply.status == 200 and NEXT not in reply.document:
        return unknown(f"all {len(reply.items)} people are on one page")
    return judged(reply, f"{len(reply.items)} on a page", holds=len(reply.items) == PAGE)


def unset_comes_as_null(tenant: Tenant) -> Seen:
    wanted = ["id", "faxNumber", "employeeType", "onPremisesDomainName"]
    reply = tenant.get(f"users?$select={','.join(wanted)}&$top=20")
    if reply.status == 200 and not reply.items:
        return unknown("there is nobody")
    holds = all(name in one for one in reply.items for name in wanted)
    return judged(reply, f"{len(reply.items)} people", holds=holds and reply.status == 200)


def count_alone_is_ignored(tenant: Tenant) -> Seen:
    reply = tenant.get("users?$select=id&$count=true&$top=1")
    told = "with a count" if COUNT in reply.document else "no count"
    return judged(reply, told, holds=reply.status == 200 and COUNT not in reply.document)


def pair_counts(tenant: Tenant) -> Seen:
    reply = tenant.get("users?$select=id&$count=true&$top=1", EVENTUAL)
    return judged(reply, holds=reply.status == 200 and COUNT in reply.document)


def ends_with_needs_the_pair(tenant: Tenant) -> Seen:
    reply = tenant.get("users?$select=id&$filter=endsWith(mail,'.invalid')")
    return refused(reply, "Request_UnsupportedQuery", "Request_BadRequest")


def one_at_a_time(tenant: Tenant) -> Seen:
    reply = tenant.get(f"users?$select=id,{ONE_AT_A_TIME}&$top=1")
    told = reply.told
    if reply.status == 501:
        return Seen(Verdict.HOLDS, told)
    return judged(reply, holds=False)


def fifteen_values(tenant: Tenant) -> Seen:
    few, many = (tenant.get(_in(number)) for number in (MOST_VALUES, MOST_VALUES + 1))
    if few.status != 200:
        return judged(few, f"with {MOST_VALUES}", holds=False)
    return judged(many, f"with {MOST_VALUES + 1}", holds=many.status == 400)


def _in(number: int) -> str:
    values = ",".join(f"'{one}'" for one in _made_up(number))
    return f"users?$select=id&$filter=id in ({values})"


def _made_up(number: int) -> list[str]:
    return [f"{NOBODY[:-4]}{place:04d}" for place in range(number)]


def manager_is_expanded(tenant: Tenant) -> Seen:
    reply = tenant.get("users?$select=id&$expand=manager&$top=20")
    managers = [one["manager"] for one in reply.items if one.get("manager")]
    if reply.status == 200 and not managers:
        return unknown("none of the first people has a manager")
    holds = all("displayName" in one and "jobTitle" in one for one in managers)
    return judged(reply, "default properties", holds=holds and reply.status == 200)


def nobody_is_404(tenant: Tenant) -> Seen:
    reply = tenant.get(f"users/{NOBODY}?$select=id")
    return judged(reply, holds=(reply.status, reply.code) == (404, "Request_ResourceNotFound"))


def errors_have_ids(tenant: Tenant) -> Seen:
    reply = tenant.get("users?$filter=displayName eq")
    error = reply.document.get("error")
    inner = next(
        (value for name, value in (error or {}).items() if name.lower() == "innererror"), None
    )
    holds = reply.status == 400 and isinstance(inner, dict) and "request-id" in inner
    return judged(reply, f"innerError: {sorted(inner or {})}", holds=holds)


def delta_takes_every_property(tenant: Tenant) -> Seen:
    """One request; where it is refused, halves tell which properties are at fault."""
    culprits = sorted(_culprits(tenant, PROPERTIES))
    if len(culprits) == len(PROPERTIES):
        return unknown("users/delta is refused whatever is selected")
    if culprits:
        return Seen(Verdict.DIFFERS, f"400 for {', '.join(culprits)}")
    return Seen(Verdict.HOLDS, f"{len(PROPERTIES)} properties")


def _culprits(tenant: Tenant, names: Sequence[str]) -> Iterable[str]:
    reply = tenant.get(f"users/delta?$deltatoken=latest&$select={','.join(names)}")
    if reply.status == 200:
        return []
    if len(names) == 1:
        return names
    half = len(names) // 2
    return [*_culprits(tenant, names[:half]), *_culprits(tenant, names[half:])]


def delta_refuses_sign_ins(tenant: Tenant) -> Seen:
    reply = tenant.get(f"users/delta?$deltatoken=latest&$select=id,{REFUSED_IN_DELTA}")
    return judged(reply, holds=reply.status == 400)


def delta_from_now_is_empty(tenant: Tenant) -> Seen:
    reply = tenant.get("users/delta?$deltatoken=latest&$select=id,displayName")
    holds = reply.status == 200 and LINK in reply.document and not reply.items
    return judged(reply, f"{len(reply.items)} people", holds=holds)


def delta_page(tenant: Tenant) -> Seen:
    reply = tenant.get("users/delta?$select=id")
    if NEXT not in reply.document and reply.status == 200:
        return unknown(f"all {len(reply.items)} people are on one page")
    return judged(reply, f"{len(reply.items)} on a page", holds=len(reply.items) == DELTA_PAGE)


def a_page_has_one_link(tenant: Tenant) -> Seen:
    reply = tenant.get("users/delta?$select=id")
    links = [name for name in (NEXT, LINK) if name in reply.document]
    return judged(reply, ", ".join(links), holds=len(links) == 1)


def delta_has_no_attribute_filter(tenant: Tenant) -> Seen:
    reply = tenant.get("users/delta?$select=id&$filter=department eq 'Sales'")
    return refused(reply, "Request_UnsupportedQuery", "Request_BadRequest", "BadRequest")


def groups_delta_from_now(tenant: Tenant) -> Seen:
    if tenant.group is None:
        return unknown("there is no group")
    reply = tenant.get(_groups_delta([tenant.group]))
    holds = reply.status == 200 and LINK in reply.document and not reply.items
    return judged(reply, holds=holds)


def fifty_groups(tenant: Tenant) -> Seen:
    few, many = (tenant.get(_groups_delta(_made_up(n))) for n in (MOST_IDS, MOST_IDS + 1))
    if few.status != 200:
        return judged(few, f"with {MOST_IDS}", holds=False)
    return judged(many, f"with {MOST_IDS + 1}", holds=many.status == 400)


def _groups_delta(ids: Iterable[str]) -> str:
    wanted = " or ".join(f"id eq '{one}'" for one in ids)
    return f"groups/delta?$deltatoken=latest&$select=displayName,members&$filter={wanted}"


def a_strange_link_is_40x(tenant: Tenant) -> Seen:
    reply = tenant.get("users/delta?$deltatoken=bm90IGEgdG9rZW4")
    return judged(reply, holds=reply.status in (400, 404, 410))


def a_link_goes_on(tenant: Tenant) -> Seen:
    """Two rounds without a change between them: the second has a link again, and it is another one."""
    first = tenant.get("users/delta?$deltatoken=latest&$select=id")
    link = str(first.document.get(LINK) or "")
    if not link:
        return unknown(first.told)
    if not link.startswith(f"{tenant.url}/"):
        return Seen(Verdict.DIFFERS, "the link leads to another host")
    second = tenant.get(link)
    onward = second.document.get(LINK) or second.document.get(NEXT)
    return judged(second, holds=bool(onward) and onward != link)


def stored_links_live(tenant: Tenant) -> Seen:
    """Read one page of the oldest link that the app has stored; the app goes on from it all the same."""
    if not tenant.links:
        return unknown("the app has stored no link yet")
    days, link = max(tenant.links)
    reply = tenant.get(link)
    told = f"{days:.1f} days old"
    # Older ones may work and need not: both was seen, and a run takes a refusal for what it is.
    return judged(reply, told, holds=reply.status == 200 or days > 7)


def cast_needs_the_pair(tenant: Tenant) -> Seen:
    if tenant.group is None:
        return unknown("there is no group")
    reply = tenant.get(f"groups/{tenant.group}/members/microsoft.graph.user?$select=id&$top=1")
    return refused(reply, "Request_UnsupportedQuery", "Request_BadRequest")


def cast_finds_the_same(tenant: Tenant) -> Seen:
    """The cast asks an index that lags behind: here it is compared with the list itself."""
    if tenant.group is None:
        return unknown("there is no group")
    members = f"groups/{tenant.group}/members"
    plain = tenant.get(f"{members}?$select=id&$top={PAGE}")
    cast = tenant.get(
        f"{members}/microsoft.graph.user?$select=id&$count=true&$top={PAGE}", EVENTUAL
    )
    if NEXT in plain.document or NEXT in cast.document:
        return unknown("the group has more members than a page")
    people = {one["id"] for one in plain.items if one.get("@odata.type", "").endswith(".user")}
    found = {one["id"] for one in cast.items}
    told = f"{len(people)} by the list, {len(found)} by the cast"
    return judged(cast if plain.status == 200 else plain, told, holds=people == found)


def memberships_of_a_person(tenant: Tenant) -> Seen:
    """With the permissions of a connection; one copy of its page asks for Directory.Read.All."""
    if tenant.somebody is None:
        return unknown("there is nobody")
    reply = tenant.get(f"users/{tenant.somebody}/memberOf?$select=id&$top={PAGE}")
    if reply.status == 403:
        return Seen(Verdict.DIFFERS, reply.told)
    return judged(reply, holds=reply.status == 200)


def two_ways_agree(tenant: Tenant) -> Seen:
    if tenant.somebody is None or tenant.group is None:
        return unknown("there is nobody, or no group")
    nested = tenant.get(f"users/{tenant.somebody}/transitiveMemberOf?$select=id&$top={PAGE}")
    checked = tenant.ask(f"users/{tenant.somebody}/checkMemberGroups", {"groupIds": [tenant.group]})
    if nested.status != 200 or NEXT in nested.document:
        return unknown(nested.told)
    by_list = tenant.group in {one["id"] for one in nested.items}
    return judged(checked, holds=checked.status == 200 and by_list == bool(checked.items))


def deleted_people_are_kept(tenant: Tenant) -> Seen:
    reply = tenant.get(
        "directory/deletedItems/microsoft.graph.user?$select=id,deletedDateTime&$top=1"
    )
    if reply.status != 200 or not reply.items:
        return unknown(reply.told if reply.status != 200 else "nobody was deleted lately")
    one = tenant.get(f"directory/deletedItems/{reply.items[0]['id']}?$select=id,deletedDateTime")
    return judged(one, holds=one.status == 200)


def hidden_members_are_denied(tenant: Tenant) -> Seen:
    """Without Member.Read.Hidden; people saw an empty list elsewhere, which would be taken for a truth."""
    if "Member.Read.Hidden" in tenant.roles:
        return unknown("the connection may read hidden members")
    groups = tenant.get(f"groups?$select=id,visibility&$top={PAGE}").items
    hidden = [one["id"] for one in groups if one.get("visibility") == "HiddenMembership"]
    if not hidden:
        return unknown("no group hides its members")
    reply = tenant.get(f"groups/{hidden[0]}/members?$select=id&$top=1")
    if reply.status == 403:
        return Seen(Verdict.HOLDS, reply.told)
    return judged(reply, f"{len(reply.items)} members", holds=False)


def batches_answer_each(tenant: Tenant) -> Seen:
    items = [
        {"id": "1", "method": "GET", "url": "/users?$select=id&$top=1"},
        {"id": "2", "method": "GET", "url": f"/users/{NOBODY}?$select=id"},
    ]
    reply = tenant.ask("$batch", {"requests": items})
    told = {str(one.get("id")): one.get("status") for one in reply.document.get("responses", [])}
    return judged(reply, str(told), holds=told == {"1": 200, "2": 404})


def units_are_told(tenant: Tenant) -> Seen:
    reply = tenant.get("users?$select=id&$top=1")
    told = reply.headers.get("x-ms-resource-unit")
    return judged(reply, f"{told} units", holds=told is not None)


ASSUMPTIONS = (
    Assumption("A token of the application tells which permissions it has", token_tells_roles),
    Assumption(f"A page of users has {PAGE} people where $top asks for it", pages_of_users),
    Assumption("What a person does not have comes as null in a list", unset_comes_as_null),
    Assumption("$count without ConsistencyLevel is ignored", count_alone_is_ignored),
    Assumption("$count with ConsistencyLevel counts", pair_counts),
    Assumption(
        "endsWith without the pair of an advanced query is refused", ends_with_needs_the_pair
    ),
    Assumption(f"{ONE_AT_A_TIME} is refused with 501 in a list of people", one_at_a_time),
    Assumption(f"'in' takes {MOST_VALUES} values and no more", fifteen_values),
    Assumption("An expanded manager has the default properties of a user", manager_is_expanded),
    Assumption("Who does not exist is 404 Request_ResourceNotFound", nobody_is_404),
    Assumption("An error has an innerError with the id of the request", errors_have_ids),
    Assumption("users/delta takes every property of a user", delta_takes_every_property),
    Assumption(f"users/delta refuses {REFUSED_IN_DELTA}", delta_refuses_sign_ins),
    Assumption(
        "users/delta with $deltatoken=latest and $select is a link and nobody",
        delta_from_now_is_empty,
    ),
    Assumption(f"A page of users/delta has {DELTA_PAGE} people", delta_page),
    Assumption("A page of a delta has a nextLink or a deltaLink, never both", a_page_has_one_link),
    Assumption("users/delta takes no filter by an attribute", delta_has_no_attribute_filter),
    Assumption(
        "groups/delta takes $deltatoken=latest, $select and $filter together", groups_delta_from_now
    ),
    Assumption(f"groups/delta takes a filter of {MOST_IDS} ids and no more", fifty_groups),
    Assumption("A delta token that is none is 400, 404 or 410", a_strange_link_is_40x),
    Assumption("A round without a change gives a new link, to the same host", a_link_goes_on),
    Assumption("A link of up to 7 days goes on", stored_links_live),
    Assumption("Members cast to people need the pair of an advanced query", cast_needs_the_pair),
    Assumption("Members cast to people are those of the list", cast_finds_the_same),
    Assumption(
        "memberOf of a person may be read with a connection's permissions", memberships_of_a_person
    ),
    Assumption("transitiveMemberOf and checkMemberGroups agree", two_ways_agree),
    Assumption("A deleted person can be asked for by id for 30 days", deleted_people_are_kept),
    Assumption("Hidden members are refused without Member.Read.Hidden", hidden_members_are_denied),
    Assumption("A $batch is answered with 200, and each item by itself", batches_answer_each),
    Assumption("An answer tells what it has cost (x-ms-resource-unit)", units_are_told),
)
