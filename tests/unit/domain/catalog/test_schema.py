"""Graph's description of itself: the properties of a user out of a document about everything."""

import pytest

from local.graph.routes.metadata import document
from sync_core.domain.catalog.schema import Kind, Property, UnreadableSchema, user_properties

HEAD = '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
TAIL = "</edmx:DataServices></edmx:Edmx>"


def described(content: str, namespace: str = "microsoft.graph") -> bytes:
    """Give a description with this content in one schema."""
    schema = f'<Schema Namespace="{namespace}" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
    return f"{HEAD}{schema}{content}</Schema>{TAIL}".encode()


def user(properties: str, base: str = "") -> str:
    based = f' BaseType="{base}"' if base else ""
    return f'<EntityType Name="user"{based}>{properties}</EntityType>'


@pytest.mark.parametrize(
    ("declared", "kind", "is_list"),
    [
        ("Edm.String", Kind.TEXT, False),
        ("Edm.Guid", Kind.TEXT, False),
        ("Edm.Boolean", Kind.BOOLEAN, False),
        ("Edm.Int32", Kind.NUMBER, False),
        ("Edm.Int64", Kind.NUMBER, False),
        ("Edm.DateTimeOffset", Kind.DATE, False),
        ("Edm.Date", Kind.DATE, False),
        ("Edm.Stream", Kind.BINARY, False),
        ("Collection(Edm.String)", Kind.TEXT, True),
        ("graph.anEnumeration", Kind.TEXT, False),
        ("Collection(graph.anEnumeration)", Kind.TEXT, True),
    ],
)
def test_kinds_are_told_in_plain_words(declared: str, kind: Kind, is_list: bool) -> None:
    enumeration = '<EnumType Name="anEnumeration"/>'
    found = user_properties(
        described(enumeration + user(f'<Property Name="a" Type="{declared}"/>'))
    )

    assert found == (Property("a", kind, is_list),)


def test_a_user_has_the_properties_of_what_it_is_based_on() -> None:
    content = (
        user('<Property Name="mail" Type="Edm.String"/>', base="graph.directoryObject")
        + '<EntityType Name="directoryObject" BaseType="microsoft.graph.entity">'
        '<Property Name="deletedDateTime" Type="Edm.DateTimeOffset"/></EntityType>'
        '<EntityType Name="entity"><Property Name="id" Type="Edm.String"/></EntityType>'
    )

    names = [one.name for one in user_properties(described(content))]

    assert names == ["deletedDateTime", "id", "mail"]


def test_an_object_shows_what_is_inside_one_level_deep() -> None:
    content = (
        user('<Property Name="org" Type="graph.org"/>')
        + '<ComplexType Name="org"><Property Name="division" Type="Edm.String"/>'
        '<Property Name="head" Type="graph.org"/></ComplexType>'
    )

    [found] = user_properties(described(content))

    assert found.parts == (Property("division", Kind.TEXT), Property("head", Kind.OBJECT))


def test_relationships_and_other_types_are_no_properties() -> None:
    content = (
        user(
            '<Property Name="mail" Type="Edm.String"/>'
            '<NavigationProperty Name="manager" Type="graph.directoryObject"/>'
        )
        + '<EntityType Name="group"><Property Name="theme" Type="Edm.String"/></EntityType>'
        '<Function Name="f"><Parameter Name="p" Type="Edm.String"/></Function>'
        '<Property Name="stray" Type="Edm.String"/>'
    )

    assert [one.name for one in user_properties(described(content))] == ["mail"]


def test_a_type_of_the_same_name_elsewhere_does_not_count() -> None:
    inner = user('<Property Name="fake" Type="Edm.String"/>')
    other = described(inner, namespace="microsoft.graph.callRecords").decode()
    ours = described(user('<Property Name="mail" Type="Edm.String"/>')).decode()
    both = ours.removesuffix(TAIL) + other.removeprefix(HEAD)

    assert [one.name for one in user_properties(both.encode())] == ["mail"]


def test_types_that_are_based_on_each_other_come_to_an_end() -> None:
    content = user('<Property Name="mail" Type="Edm.String"/>', base="graph.user")

    assert [one.name for one in user_properties(described(content))] == ["mail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "no element found", id="nothing"),
        pytest.param(b"<html>", "no element found", id="cut short"),
        pytest.param(b'{"error": {}}', "not well-formed", id="JSON"),
        pytest.param(b"<html></html>", "no entity type user", id="a web page"),
        pytest.param(described('<EntityType Name="group"/>'), "no entity type user", id="no user"),
        pytest.param(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "document type", id="entities"),
    ],
)
def test_what_is_no_description_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(UnreadableSchema, match=words):
        user_properties(body)


def test_the_emulators_description_is_read() -> None:
    found = {one.name: one for one in user_properties(document())}

    assert found["accountEnabled"].kind is Kind.BOOLEAN
    assert found["proxyAddresses"] == Property("proxyAddresses", Kind.TEXT, is_list=True)
    assert found["employeeHireDate"].kind is Kind.DATE
    assert len(found["onPremisesExtensionAttributes"].parts) == 15
    assert found["identities"].is_list
    assert {"id", "deletedDateTime", "userPrincipalName", "skills"} <= found.keys()
    assert not {"manager", "memberOf", "calendar", "caller"} & found.keys()
