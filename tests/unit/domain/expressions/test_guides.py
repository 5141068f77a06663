r"""The expressions of Microsoft's two HR guides, with the results that the rules give.

From learn.microsoft.com/entra/identity/app-provisioning/workday-expression-mapping-functions-guide and
.../successfactors-expression-mapping-functions-guide. The guides print many results that their own
expressions cannot give (lower case without ToLower, hyphens that nothing removes, reversed signs of
DateDiff, wrong numbers of NumFromDate); those rows expect the rule and are marked `not as printed`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from sync_core.domain.expressions import IGNORE_ATTRIBUTE, IGNORE_OBJECT
from tests.unit.domain.expressions.evaluation import evaluate

TODAY = datetime(2025, 7, 30, tzinfo=UTC)

SUFFIX = (
    'Join(" ",Replace([HereditarySuffix], ,"(?<CountryISOCode>.*)_(?<suffix1>.*)_(?<suffix2>.*)'
    '[0-9]", ,"${suffix1} ${suffix2}", , ),[PreferredLastName])'
)
COUNTRY_NAME = """Switch([CountryReferenceTwoLetter],
    Join(" ", [PreferredFirstName], [PreferredLastName]),
    "HU", Join(",", [PreferredLastName], [PreferredFirstName]),
    "JP", Join(",", [PreferredLastName], [PreferredFirstName]),
    "KR", Join(",", [PreferredLastName], [PreferredFirstName])
)"""
DOMAIN = """Switch([Company],
    Join("@", NormalizeDiacritics(StripSpaces(Join(".", [FirstName], [LastName]))), "contoso.com"),
    "Fabrikam", Join("@", NormalizeDiacritics(StripSpaces(Join(".", [FirstName], [LastName]))),
        "fabrikam.com"),
    "Woodgrove", Join("@", NormalizeDiacritics(StripSpaces(Join(".", Mid([FirstName],1,1),
        [LastName]))), "woodgrove.com")
)"""
PROXIES = """Split(
    Join(",",
        Append("smtp:", Join("@", StripSpaces(Join("", "A", [personIdExternal])), "contoso.com")),
        Append("SMTP:", Join("@", Join(".", StripSpaces([firstName]), StripSpaces([lastName])),
            "contoso.com"))
    ),
    ","
)"""
NUMBER = (
    r'Replace(Replace([phone], , "\\+(?<isdCode>\\d* )(?<phoneNumber>.*)", , "${phoneNumber}", , ),'
    r' ,"[()\\s-]+", ,"", , )'
)
ISD = (
    r'Replace(Replace([phone], , "\\+(?<isdCode>\\d* )(?<phoneNumber>.*)", , "${isdCode}", , ), ,'
    r'"[()\\s-]+", ,"", , )'
)
COUNTRY = (
    r'Switch(Replace([phone], , "\\+(?<isdCode>\\d* )(?<phoneNumber>.*)", , "${isdCode}", , ), '
    '"USA", "1", "USA", "44", "GBR", "49", "DEU")'
)
# The only place where a backslash stands alone.
TEAMS_COUNTRY = (
    r'Switch(Replace([phone], , "\+(?<isdCode>49|44|43|1|352|91)(?<phoneNumber>.*)", , '
    r'"${isdCode}", , ), , "43", "AUT", "1", "USA", "49", "GER", "91", "IND")'
)
EXTENSION = (
    r'Replace([phone], , "\\+(?<isdCode>\\d* )(?<phoneNumber>.* )[x](?<extension>.*)", , '
    '"${extension}", , )'
)
REHIRE = (
    'Switch([Active], , "1", IIF([StatusRehire]=1, IIF(DateDiff("d", Now(), '
    'CDate([StatusHireDate])) >= 0, "False", "True"), "False"), "0", "True")'
)
PRE_HIRE = (
    'Switch([Active], , "1", IIF(DateDiff("d", Now(), CDate([StatusHireDate])) <= 14, "False", '
    '"True"), "0", "True")'
)
RESCIND = """Switch([StatusTerminated], "False", "1", "True", "0",
  Switch([StatusHireRescinded], "False", "1", "True", "0",
     Switch([Active], "False",
         "1", IIF(DateDiff("d", Now(), CDate(IIF(IsNullOrEmpty([StatusHireDate]), "9999-01-01",
            [StatusHireDate]))) < 7, "False", "True"),
         "0", "True"
         )
    )
)"""
FIVE_YEARS = (
    'NumFromDate(Join("",FormatDateTime(DateAdd("yyyy", 5, CDate([StatusHireDate])), , '
    '"yyyy-MM-dd", "yyyy-MM-dd")," 23:59:59-05:00"))'
)
STARTED = (
    'IIF(DateDiff("d", Now(), CDate([StatusHireDate])) >= 0, [Department], IgnoreAttributeFlow)'
)
SOON = 'IIF(DateDiff("d", Now(), CDate([StatusHireDate])) <= 14, "False", IgnoreObjectFlow)'
UNIT = """Join("",
    Switch([SupervisoryOrganization],"", "Engineering", "OU=Engineering,"),
    Switch([CostCenter],"", "Modern Workplace","OU=Modern Workplace,"),
    Switch([CountryReferenceTwoLetter],"", "US","OU=USA,", "UK","OU=UK,"),
    "OU=Users,DC=contoso,DC=com"
)"""
LEAVER = """IIF(DateDiff("d", Now(),CDate(Switch([LastDay],[LastDay], "","9999-12-31"))) <= 0,
    "OU=Leavers", Switch([City], "OU=Default", "Dallas", "OU=Dallas"))"""
SAM = (
    r'Replace(Mid(Replace(NormalizeDiacritics(StripSpaces(Join("", Mid([firstName],1,1), '
    r'[lastName]))), , "([\\/\\\\\\[\\]\\:\\;\\|\\=\\,\\+\\*\\?\\<\\>])", , "", , ), 1, 20), , '
    r'"(\\.)*$", , "", , )'
)
EXTERNAL = (
    r'Replace(Mid(Replace(Replace([username],,"(?<id>.*)@(?<domain>.*)",,"${id}",,), , '
    r'"([\\/\\\\\\[\\]\\:\\;\\|\\=\\,\\+\\*\\?\\<\\>])", , "", , ), 1, 20), , "(\\.)*$", , "", , )'
)
PADDED = 'Replace(Join("","00000000",[id8]), ,"(.*?)(?<id>.{0,8})$", ,"${id}", ,)'
PREFERRED = """Join(", ", Join("", Mid([lastName], 1, 1), ToLower(Mid([lastName], 2, 64), )),
    Join("", Mid(Coalesce([preferredName], [firstName]), 1, 1),
        ToLower(Mid(Coalesce([preferredName], [firstName]), 2, 64), )))"""
CORPORATE = 'IgnoreFlowIfNullOrEmpty(IIF(InStr([emailAddress],"@contoso.com")=0,"",[emailAddress]))'
HIDDEN = """IIF(DateDiff("d", CDate(IIF(IsPresent([startDate]), [startDate],
    DateAdd("d", "10", Now()))), Now()) >= -1, IIF(DateDiff("d", Now(), CDate(IIF(IsPresent([endDate]),
    [endDate], DateAdd("d", "1", Now())))) >= 0, "FALSE", "TRUE"), "TRUE")"""
EXPIRES = """Switch([endDate],
    NumFromDate(Join("", FormatDateTime([endDate], "M/d/yyyy hh:mm:ss tt", "yyyy-MM-dd"),
        " 23:59:59-05:00")),
    "", "9223372036854775807"
)"""
PRIMARY = """Switch(Join("+",Switch([business],[business],"","other"),Switch([cell],[cell],"","other")),
    "no primary phone", "true+false", "business phone is primary", "other+true",
    "cell phone is primary")"""
DELETED = (
    'IIF([IsSoftDeleted]="True", Join("_",FormatDateTime(Now(), , "M/d/yyyy h:mm:ss tt", '
    '"yyyy-MM-dd"),[mail]), [mail])'
)
PLAIN_MAIL = """Replace(Join("@", NormalizeDiacritics(StripSpaces(Join(".",
    Coalesce([preferredName], [firstName]), [lastName]))), "contoso.com"), , "['-]+", , "", , )"""
ROWS: list[tuple[str, str, Mapping[str, object], object]] = [
    (
        "suffix",
        SUFFIX,
        {"HereditarySuffix": "NLD_Van_der3", "PreferredLastName": "Hof"},
        "Van der Hof",
    ),
    (
        "last name",
        'Replace([name], , "(?<firstName>[a-zA-Z]+ )(?<lastName>[a-zA-Z]+)", ,"${lastName}", ,)',
        {"name": "John Smith"},
        "Smith",
    ),
    (
        "leading zeros",
        'Replace([WorkerID], , "(?<zeros>^0+)(?<actualValue>[a-zA-Z0-9]+)", , "${actualValue}", ,)',
        {"WorkerID": "00012345"},
        "12345",
    ),
    (
        "apostrophe",
        'Replace(PCase("st john\'s hospital"),"\'S", , ,"\'s", , )',
        {},
        "St John's Hospital",
    ),
    (
        "Japanese order",
        COUNTRY_NAME,
        {
            "CountryReferenceTwoLetter": "JP",
            "PreferredFirstName": "Hiroshi",
            "PreferredLastName": "Tanaka",
        },
        "Tanaka,Hiroshi",
    ),
    (
        "default order",
        COUNTRY_NAME,
        {
            "CountryReferenceTwoLetter": "US",
            "PreferredFirstName": "John",
            "PreferredLastName": "Smith",
        },
        "John Smith",
    ),
    (
        "domain of the company, not as printed",
        DOMAIN,
        {"Company": "Woodgrove", "FirstName": "Sarah", "LastName": "Johnson"},
        "S.Johnson@woodgrove.com",
    ),
    (
        "proxy addresses",
        PROXIES,
        {"personIdExternal": "12345", "firstName": "John", "lastName": "Smith"},
        ["smtp:A12345@contoso.com", "SMTP:John.Smith@contoso.com"],
    ),
    ("number", NUMBER, {"phone": "+1 737-626-8331"}, "7376268331"),
    ("number in parentheses", NUMBER, {"phone": "+1 (555) 123-4567"}, "5551234567"),
    ("country code", ISD, {"phone": "+44 20 7946 0958"}, "44"),
    ("country with a blank, not as printed", COUNTRY, {"phone": "+44 20 7946 0958"}, "USA"),
    ("country of Teams", TEAMS_COUNTRY, {"phone": "+493012345678"}, "GER"),
    ("another country of Teams", TEAMS_COUNTRY, {"phone": "+919876543210"}, "IND"),
    ("no country of Teams", TEAMS_COUNTRY, {"phone": "+999"}, None),
    ("extension", EXTENSION, {"phone": "+1 (206) 291-8163 x8125"}, "8125"),
    (
        "rehire in the future, not as printed",
        REHIRE,
        {"Active": "1", "StatusRehire": "1", "StatusHireDate": "2025-08-15"},
        "False",
    ),
    ("not active", REHIRE, {"Active": "0"}, "True"),
    ("pre-hire within 14 days", PRE_HIRE, {"Active": "1", "StatusHireDate": "2025-08-10"}, "False"),
    ("pre-hire later", PRE_HIRE, {"Active": "1", "StatusHireDate": "2025-09-15"}, "True"),
    ("terminated", RESCIND, {"StatusTerminated": "1", "Active": "1"}, "True"),
    (
        "hire within 7 days",
        RESCIND,
        {
            "StatusTerminated": "0",
            "StatusHireRescinded": "0",
            "Active": "1",
            "StatusHireDate": "2025-08-05",
        },
        "False",
    ),
    (
        "no hire date",
        RESCIND,
        {"StatusTerminated": "0", "StatusHireRescinded": "0", "Active": "1"},
        "True",
    ),
    (
        "five years, not as printed",
        FIVE_YEARS,
        {"StatusHireDate": "2025-01-15"},
        135392435990000000,
    ),
    (
        "not started, not as printed",
        STARTED,
        {"StatusHireDate": "2025-07-15", "Department": "Engineering"},
        IGNORE_ATTRIBUTE,
    ),
    (
        "department later, not as printed",
        STARTED,
        {"StatusHireDate": "2025-08-15", "Department": "Marketing"},
        "Marketing",
    ),
    ("person within 14 days", SOON, {"StatusHireDate": "2025-08-10"}, "False"),
    ("person later", SOON, {"StatusHireDate": "2025-09-15"}, IGNORE_OBJECT),
    (
        "unit",
        UNIT,
        {
            "SupervisoryOrganization": "Engineering",
            "CostCenter": "Modern Workplace",
            "CountryReferenceTwoLetter": "US",
        },
        "OU=Engineering,OU=Modern Workplace,OU=USA,OU=Users,DC=contoso,DC=com",
    ),
    (
        "unit of the UK, not as printed",
        UNIT,
        {"CostCenter": "Marketing", "CountryReferenceTwoLetter": "UK"},
        "OU=UK,OU=Users,DC=contoso,DC=com",
    ),
    ("leaver", LEAVER, {"LastDay": "2025-07-25", "City": "Dallas"}, "OU=Leavers"),
    ("leaver later", LEAVER, {"LastDay": "2025-08-15", "City": "Dallas"}, "OU=Dallas"),
    ("no leaver", LEAVER, {"City": "Oslo"}, "OU=Default"),
    (
        "account name, not as printed",
        SAM,
        {"firstName": "María", "lastName": "Rodríguez-Santos."},
        "MRodriguez-Santos",
    ),
    (
        "account name with odd characters",
        SAM,
        {"firstName": "A", "lastName": r"b/c\d[e]f:g;h|i=j,k+l*m?n<o>p"},
        "Abcdefghijklmnop",
    ),
    (
        "external name, not as printed",
        EXTERNAL,
        {"username": "john.smith@external.com"},
        "john.smith",
    ),
    ("padded", PADDED, {"id8": "12345"}, "00012345"),
    (
        "preferred name",
        PREFERRED,
        {"lastName": "JOHNSON", "preferredName": "Mike", "firstName": "Michael"},
        "Johnson, Mike",
    ),
    (
        "empty preferred name is a value, not as printed",
        PREFERRED,
        {"lastName": "SMITH", "preferredName": "", "firstName": "Robert"},
        "Smith",
    ),
    ("corporate address", CORPORATE, {"emailAddress": "j@contoso.com"}, "j@contoso.com"),
    ("foreign address", CORPORATE, {"emailAddress": "j@external.com"}, IGNORE_ATTRIBUTE),
    ("shown", HIDDEN, {"startDate": "2025-01-15", "endDate": "2025-12-31"}, "FALSE"),
    ("hidden", HIDDEN, {"startDate": "2025-01-15", "endDate": "2025-06-30"}, "TRUE"),
    ("hidden without dates", HIDDEN, {}, "TRUE"),
    ("expires, not as printed", EXPIRES, {"endDate": "12/31/2025 12:00:00 AM"}, 134117171990000000),
    ("never expires", EXPIRES, {"endDate": ""}, "9223372036854775807"),
    ("business phone", PRIMARY, {"business": "true", "cell": "false"}, "business phone is primary"),
    ("cell phone", PRIMARY, {"business": "", "cell": "true"}, "cell phone is primary"),
    ("soft-deleted", DELETED, {"IsSoftDeleted": True, "mail": "j@x.com"}, "2025-07-30_j@x.com"),
    ("not soft-deleted", DELETED, {"IsSoftDeleted": "False", "mail": "j@x.com"}, "j@x.com"),
    (
        "plain mail, not as printed",
        PLAIN_MAIL,
        {"preferredName": "Mary-Ann", "firstName": "Mary", "lastName": "O'Connor"},
        "MaryAnn.OConnor@contoso.com",
    ),
    (
        "end of the year, not as printed",
        "NumFromDate([end])",
        {"end": "2025-12-31T23:59:59-08:00"},
        134117279990000000,
    ),
]


@pytest.mark.parametrize(
    ("expression", "attributes", "expected"),
    [pytest.param(*row[1:], id=row[0]) for row in ROWS],
)
def test_expression_of_the_hr_guides(
    expression: str, attributes: Mapping[str, object], expected: object
) -> None:
    assert evaluate(expression, attributes, now=TODAY) == expected
