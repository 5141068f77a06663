"""A caller's JSON becomes a connection and its secret, or is refused with everything that is wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from sync_core.domain.connections.draft import (
    MAX_CERTIFICATE,
    MAX_DEPTH,
    MAX_SECRET,
    Draft,
    checked,
    merged,
    patched,
    secret_name_problems,
    with_id,
    with_kept_secret,
)
from sync_core.domain.documents.connection import Connection, Credential, CredentialKind
from sync_core.domain.errors import Invalid
from tests.certificates import certificate_pem, key_pem, rsa_key
from tests.unit.builders import GUID, connection

NOW = datetime(2026, 5, 4, tzinfo=UTC)
ENDS = datetime(2027, 5, 4, 12, tzinfo=UTC)
KEY = rsa_key()
PEM = key_pem(KEY) + certificate_pem(KEY, begins=NOW - timedelta(days=1), ends=ENDS)
STORED = {"secretName": "a-secret", "secretVersion": "v1", "expiresOn": "2026-12-31"}

Json = dict[str, Any]


def document(credential: Json | None = None, **changes: Any) -> Json:
    return {
        "id": "contoso",
        "displayName": "Contoso",
        "tenantId": GUID,
        "clientId": GUID,
        "credential": {"clientSecret": "s3cret"} if credential is None else credential,
    } | changes


def problems(whole: Json) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        checked(whole, NOW)
    return {problem.path: problem.message for problem in caught.value.problems}


def stored(**credential: Any) -> Connection:
    return connection(credential=credential or STORED)


# --- checked --------------------------------------------------------------------------------------


def test_a_whole_connection_is_taken_and_its_secret_is_not_in_it() -> None:
    draft = checked(document() | {"warnings": [], "verification": {}}, NOW)

    assert draft.secret == SecretStr("s3cret")
    assert draft.connection == connection()
    assert (draft.secret_name, draft.content_type) == ("contoso-client-secret", "text/plain")
    assert draft.pinned("v1").credential == Credential(
        secret_name="contoso-client-secret", secret_version="v1"
    )


def test_a_certificate_brings_its_end_along() -> None:
    draft = checked(document({"kind": "certificate", "certificate": PEM}), NOW)

    assert draft.secret == SecretStr(PEM)
    assert (draft.secret_name, draft.content_type) == (
        "contoso-certificate",
        "application/x-pem-file",
    )
    assert draft.pinned("v1").credential.expires_on == ENDS.date()


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        pytest.param({"clientId": "x"}, "clientId", "", id="not a GUID"),
        pytest.param({"display_name": "x"}, "display_name", "not a known field", id="other name"),
        pytest.param({"displayName": "Contoso "}, "displayName", "blank", id="blank at the end"),
        pytest.param({"displayName": "Con\ntoso"}, "displayName", "line breaks", id="line break"),
        pytest.param({"tenantId": None}, "tenantId", "needs a tenant", id="no tenant"),
        pytest.param({"policy": {"graceDays": 1}}, "policy.graceDays", "only 0", id="grace"),
        pytest.param(
            {"policy": {"purgeAfterDays": 1}}, "policy.purgeAfterDays", "only null", id="purge"
        ),
        pytest.param(
            {"scope": {"filters": [{"clauses": [{"attribute": "a", "operator": "IN"}]}]}},
            "scope.filters[0].clauses[0]",
            "",
            id="scope",
        ),
        pytest.param(
            {"mapping": [{"target": "email", "expression": "Trim("}]},
            "mapping[0].expression",
            "",
            id="mapping",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_place(changes: Json, path: str, words: str) -> None:
    [(found, message)] = problems(document(**changes)).items()

    assert found.startswith(path)
    assert words in message


@pytest.mark.parametrize(
    ("credential", "field", "words"),
    [
        pytest.param({}, "clientSecret", "needs a client secret", id="no secret"),
        pytest.param({"kind": "certificate"}, "certificate", "a certificate", id="no certificate"),
        pytest.param({"clientSecret": ""}, "clientSecret", "must not be empty", id="empty"),
        pytest.param({"clientSecret": "s "}, "clientSecret", "copy the value", id="blank"),
        pytest.param({"clientSecret": "a\nb"}, "clientSecret", "line breaks", id="line break"),
        pytest.param({"clientSecret": "s" * (MAX_SECRET + 1)}, "clientSecret", "longer", id="long"),
        pytest.param(
            {"kind": "certificate", "certificate": "x" * (MAX_CERTIFICATE + 1)},
            "certificate",
            "longer than Key Vault takes",
            id="long certificate",
        ),
        pytest.param(
            {"kind": "certificate", "certificate": "no PEM"}, "certificate", "", id="no PEM"
        ),
        pytest.param(
            {"kind": "certificate", "certificate": PEM, "clientSecret": "s"},
            "clientSecret",
            'send "kind": "clientSecret" with it',
            id="a secret beside a certificate",
        ),
        pytest.param(
            {"clientSecret": "s", "certificate": PEM},
            "certificate",
            'send "kind": "certificate" with it',
            id="a certificate beside a secret",
        ),
        pytest.param(
            {"kind": "managedIdentity", "clientSecret": "s"},
            "clientSecret",
            "kind managedIdentity has no secret; leave it out",
            id="a secret beside an identity",
        ),
        pytest.param(
            {"kind": "federated", "secretName": "a"},
            "secretName",
            "no secret in Key Vault",
            id="a name beside an identity",
        ),
    ],
)
def test_a_credential_is_what_its_kind_takes(credential: Json, field: str, words: str) -> None:
    [(path, message)] = problems(document(credential)).items()

    assert path == f"credential.{field}"
    assert words in message


def test_a_secret_is_in_no_message() -> None:
    assert "hush" not in str(problems(document({"clientSecret": "hush\n"})))


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(document({"secretName": "a"}), id="a secret that is in the vault"),
        pytest.param(document({"kind": "managedIdentity"}), id="an identity"),
        pytest.param(document({}, enabled=False, tenantId=None), id="off, and nothing is known"),
    ],
)
def test_nothing_has_to_be_sent(whole: Json) -> None:
    assert checked(whole, NOW).secret is None


def test_tests_of_a_mapping_are_run_only_where_its_rules_are_right() -> None:
    wrong_test = {
        "target": "email",
        "source": "mail",
        "tests": [{"attributes": {}, "expected": "a"}],
    }

    [path] = problems(document(mapping=[wrong_test]))
    assert path.startswith("mapping[0].tests[0]")
    wrong_rule = {"target": "name", "expression": "Trim("}
    assert all("tests" not in path for path in problems(document(mapping=[wrong_test, wrong_rule])))


def test_every_path_is_in_the_message() -> None:
    with pytest.raises(Invalid, match="not valid: clientId, displayName"):
        checked(document(displayName="", clientId="x"), NOW)


# --- the secret that is stored ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draft", "before", "needed"),
    [
        pytest.param({}, None, True, id="new"),
        pytest.param({}, stored(), False, id="in use"),
        pytest.param({}, stored(secretName="other"), True, id="another name"),
        pytest.param(
            {}, stored(**STORED | {"secretName": "A-Secret"}), False, id="spelt in another way"
        ),
        pytest.param(
            {}, stored().model_copy(update={"enabled": False}), True, id="not in use before"
        ),
        pytest.param({"enabled": False}, None, False, id="off"),
        pytest.param({"credential": {"kind": "managedIdentity"}}, None, False, id="no secret"),
    ],
)
def test_a_secret_is_looked_for_where_it_is_newly_relied_on(
    draft: Json, before: Connection | None, needed: bool
) -> None:
    made = connection(**({"credential": STORED} | draft))

    assert Draft(made, None).needs_known_secret(before) is needed
    assert Draft(made, SecretStr("sent")).needs_known_secret(before) is False


def test_the_newest_credential_is_kept_unless_the_draft_has_one() -> None:
    waiting = Credential(secret_name="newer")

    assert Draft(stored(), None).with_waiting(waiting, stored()).connection == stored(
        secretName="newer"
    )
    for draft in (Draft(stored(), SecretStr("s")), Draft(stored(secretName="b"), None)):
        assert draft.with_waiting(waiting, stored()) == draft


SENT = SecretStr("sent")


@pytest.mark.parametrize(
    ("name", "secret", "before", "words"),
    [
        pytest.param(None, None, None, None, id="no secret yet"),
        pytest.param(None, SENT, None, None, id="the name that it gets"),
        pytest.param("a-secret", SENT, None, None, id="a name of its own"),
        pytest.param("usersync-x", SENT, None, "the app's own", id="the app's"),
        pytest.param("UserSync-X", None, None, "the app's own", id="the app's, only named"),
        pytest.param("graph-client-state-key", SENT, None, "the app's own", id="the app's before"),
        pytest.param("theirs", SENT, None, "of the connection 'fabrikam'", id="another's"),
        pytest.param("THEIRS", None, None, "of the connection 'fabrikam'", id="another spelling"),
        pytest.param("theirs", SENT, "theirs", None, id="shared from before"),
        pytest.param("usersync-x", None, "usersync-x", None, id="the app's from before, edited"),
        pytest.param(
            "usersync-x", SENT, "usersync-x", "the app's own", id="the app's from before, written"
        ),
    ],
)
def test_a_secret_is_one_connections_alone(
    name: str | None, secret: SecretStr | None, before: str | None, words: str | None
) -> None:
    draft = Draft(connection(credential={"secretName": name}), secret)
    known = [
        ("contoso", Credential(secret_name="a-secret")),
        ("fabrikam", Credential(secret_name="Theirs")),
        ("nameless", Credential()),
    ]
    found = secret_name_problems(draft, stored(secretName=before) if before else None, known)

    assert [problem.path for problem in found] == ["credential.secretName"] * (words is not None)
    assert words is None or words in found[0].message


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param({}, STORED, id="nothing"),
        pytest.param({"secretName": "a-secret"}, STORED, id="its name"),
        pytest.param({"secretName": "A-Secret"}, STORED, id="its name in another case"),
        pytest.param({"secretName": 7}, {}, id="no name"),
        pytest.param({"expiresOn": None}, STORED | {"expiresOn": None}, id="its end is unknown"),
        pytest.param({"secretName": "b"}, {"secretName": "b"}, id="another name"),
        pytest.param({"clientSecret": "s"}, {"secretName": "a-secret"}, id="a new value"),
    ],
)
def test_a_whole_document_keeps_the_secret(sent: Json, kept: Json) -> None:
    found = with_kept_secret(document(sent), stored())["credential"]

    assert found == {"kind": "clientSecret"} | kept | sent


@pytest.mark.parametrize(
    ("sent", "before"),
    [
        pytest.param(document({}), None, id="new"),
        pytest.param(document() | {"credential": 7}, stored(), id="no object"),
        pytest.param(document({"kind": "federated"}), stored(), id="another kind"),
        pytest.param(document(), stored(kind="federated"), id="a value of another kind"),
    ],
)
def test_nothing_is_kept(sent: Json, before: Connection | None) -> None:
    assert with_kept_secret(sent, before) == sent


@pytest.mark.parametrize(
    ("patch", "credential"),
    [
        pytest.param({"displayName": "x"}, STORED, id="something else"),
        pytest.param({"credential": {"secretName": "a-secret"}}, STORED, id="the same name"),
        pytest.param(
            {"credential": {"secretName": "A-Secret"}},
            STORED | {"secretName": "A-Secret"},
            id="the same name in another case",
        ),
        pytest.param({"credential": {"secretName": "b"}}, {"secretName": "b"}, id="another name"),
        pytest.param(
            {"credential": {"clientSecret": "s"}},
            {"secretName": "a-secret", "clientSecret": "s"},
            id="a new value",
        ),
        pytest.param(
            {"credential": {"clientSecret": "s", "expiresOn": "2028-01-01"}},
            {"secretName": "a-secret", "clientSecret": "s", "expiresOn": "2028-01-01"},
            id="a new value and its end",
        ),
        pytest.param(
            {"credential": {"kind": "federated"}}, {"kind": "federated"}, id="another kind"
        ),
    ],
)
def test_what_is_known_of_a_secret_does_not_outlive_it(patch: Json, credential: Json) -> None:
    assert patched(stored(), patch)["credential"] == {"kind": "clientSecret"} | credential


def test_a_credential_may_be_taken_away() -> None:
    assert "credential" not in patched(stored(), {"credential": None})


# --- addresses and merging --------------------------------------------------------------------------


def test_a_document_has_the_id_of_its_address() -> None:
    assert with_id({}, "contoso") == with_id({"id": "contoso"}, "contoso") == {"id": "contoso"}
    with pytest.raises(Invalid, match="not valid: id"):
        with_id({"id": "x"}, "contoso")
    with pytest.raises(Invalid, match="not valid: id"):
        patched(stored(), {"id": "x"})


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        pytest.param({"a": "b"}, {"a": "c"}, {"a": "c"}, id="replaced"),
        pytest.param({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}, id="added"),
        pytest.param({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}, id="taken away"),
        pytest.param({"a": ["b"]}, {"a": "c"}, {"a": "c"}, id="a list"),
        pytest.param({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}, id="deep"),
        pytest.param(
            {"a": "foo"}, {"b": {"c": {"d": None}}}, {"a": "foo", "b": {"c": {}}}, id="new"
        ),
        pytest.param("a", {"b": 1}, {"b": 1}, id="not an object"),
        pytest.param({"a": 1}, ["c"], ["c"], id="not a patch"),
    ],
)
def test_merge_patch(target: Any, patch: Any, result: Any) -> None:
    """Cases of RFC 7396, appendix A."""
    assert merged(target, patch) == result


def test_a_patch_may_not_be_endlessly_deep() -> None:
    patch: Json = {}
    for _ in range(MAX_DEPTH + 1):
        patch = {"a": patch}

    with pytest.raises(Invalid, match=r"The connection is not valid\.") as caught:
        merged({}, patch)
    assert caught.value.problems[0].message == "is nested deeper than 20 levels"
    assert merged({}, patch["a"]) == patch["a"]


@pytest.mark.parametrize("kind", [CredentialKind.CLIENT_SECRET, CredentialKind.CERTIFICATE])
def test_the_name_of_a_secret_stays(kind: CredentialKind) -> None:
    assert Draft(stored(kind=kind, secretName="mine"), None).secret_name == "mine"
