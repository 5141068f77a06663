"""The pages say what is there: every path that they name exists, every call and operator is told."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.__main__ import main
from sync_core.api.app import ROUTES, Route
from sync_core.domain.documents.scope import Operator
from tests.infra.infrastructure import deployment
from tests.infra.sources import shipped
from tests.infra.test_azd import variables

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FOLDERS = "sync_core|local|deploy|tests|docs|benchmarks"
ROOMS = "api|connections|people|runs|health|directory|store|domain"
# A path of an address, of a folder that is not kept (`.local/`) or of another page's path is none of ours.
BEGIN = r"(?<![\w./<{-])"
FROM_ROOT = re.compile(rf"{BEGIN}(?:{FOLDERS})/[\w./-]*")
# The pages about the code leave `sync_core/` out: `runs/planner.py`, `domain/scope/`.
FROM_ROOMS = re.compile(rf"{BEGIN}(?:{ROOMS})/(?:[\w/]+\.py|(?:\w+/)+(?=`))")
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
DEPLOYS = re.compile(r"python3? -m deploy (\w+)((?: +-[^`|\n#]*)?)")
OPTION = re.compile(r"(?<!\S)--[\w-]+")
OF_AZD = re.compile(r"\b(?:AZURE|USERSYNC)_[A-Z_]+\b")
# Of azd and GitHub themselves, and settings of the app.
OF_OTHERS = {"AZURE_SUBSCRIPTION_ID", "AZURE_CLIENT_ID", "AZURE_AUTHORITY_HOST"}
# A browser makes these calls, not a program: they are told where they matter to an administrator.
BY_BROWSER = "/api/consent/"
# Where a reader looks for a warning; one of a run stands in the page of what it is about.
WARNINGS = {"Warning": ["docs/api.md"], "PreviewWarning": ["docs/why.md"], "RunWarning": None}


def missing(text: str, page: Path) -> list[str]:
    """Return what a page names that does not exist: paths in the repository, links and their anchors."""
    paths = [(path, ROOT / path) for path in _named(FROM_ROOT, text)]
    paths += [(path, ROOT / "sync_core" / path) for path in _named(FROM_ROOMS, text)]
    gone = [path for path, place in paths if not place.exists()]
    return gone + [link for link, place, anchor in _links(text, page) if not _leads(place, anchor)]


def _named(pattern: re.Pattern[str], text: str) -> list[str]:
    # A dot at the end is the sentence's.
    return [found.rstrip(".") for found in pattern.findall(text)]


def _links(text: str, page: Path) -> Iterator[tuple[str, Path, str]]:
    for found in LINK.finditer(text):
        place = (page.parent / found[1]).resolve() if found[1] else page
        yield found[0], place, found[2] or ""


def _leads(place: Path, anchor: str) -> bool:
    if not anchor:
        return place.exists()
    return place.is_file() and anchor in anchors(place.read_text(encoding="utf-8"))


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_is_there(page: Path) -> None:
    assert missing(page.read_text(encoding="utf-8"), page) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("`sync_core/nowhere.py` decides.", ["sync_core/nowhere.py"], id="path"),
        pytest.param("See docs/nowhere.md.", ["docs/nowhere.md"], id="path outside of code"),
        pytest.param("    make -C tests/nowhere", ["tests/nowhere"], id="path in a command"),
        pytest.param("`runs/nowhere.py`", ["runs/nowhere.py"], id="path below sync_core"),
        pytest.param("`domain/nowhere/`", ["domain/nowhere/"], id="folder below sync_core"),
        pytest.param("[runs](nowhere.md)", ["](nowhere.md)"], id="link"),
        pytest.param("[runs](run.md#nowhere)", ["](run.md#nowhere)"], id="anchor"),
        pytest.param("[below](#nowhere)", ["](#nowhere)"], id="anchor on the page"),
        pytest.param("`sync_core/settings.py`, `runs/worker.py`, `domain/plan/`", [], id="there"),
        pytest.param("[faults](emulator.md#faults)", [], id="link to a heading"),
        pytest.param("`.local/rig.log`, https://example.com/docs/x", [], id="not ours"),
        pytest.param("`GET /people/{key}`, `POST .../users/{id}/sync`", [], id="calls"),
    ],
)
def test_what_is_not_there_is_found(text: str, found: list[str]) -> None:
    assert missing(text, ROOT / "docs" / "run.md") == found


@pytest.mark.parametrize("operator", Operator)
def test_every_operator_is_told(operator: Operator) -> None:
    assert f"`{operator}`" in (ROOT / "docs/connection.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_call_is_told(route: Route) -> None:
    pages, call = [ROOT / "docs/api.md"], f"{route.method} {route.path}"
    if route.path.startswith(BY_BROWSER):
        pages, call = PAGES, route.path
    told = "".join(page.read_text(encoding="utf-8") for page in pages)
    # A page may say `{objectId or sign-in name}` where the route says `{who}`.
    wanted = re.sub(r"\\\{\w+\\\}", r"\\{[^}]*\\}", re.escape(call))

    assert re.search(rf"{wanted}(?![\w/{{])", told)


def warnings() -> Iterator[tuple[str, str]]:
    """Return the kind and the code of every warning that the sources make."""
    trees = [ast.parse(path.read_text("utf-8")) for path in shipped()]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    constants = {
        target.id: node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for code in (word.value for word in node.keywords if word.arg == "code"):
                yield from ((node.func.id, text) for text in _texts(code, constants))


def _texts(code: ast.expr, constants: dict[str, ast.expr]) -> Iterator[str]:
    for node in ast.walk(code):
        value = constants.get(node.id) if isinstance(node, ast.Name) else node
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


@pytest.mark.parametrize(
    ("kind", "code"), sorted({one for one in warnings() if one[0] in WARNINGS})
)
def test_every_warning_is_told(kind: str, code: str) -> None:
    names = WARNINGS[kind]
    pages = PAGES if names is None else [ROOT / name for name in names]

    assert any(f"`{code}`" in page.read_text(encoding="utf-8") for page in pages)


def test_the_warnings_are_found() -> None:
    """Else the test above would look at nothing."""
    assert {"scope.everyone", "name.unbound", "guard.confirmed"} <= {code for _, code in warnings()}


def deploying() -> Iterator[tuple[str, str]]:
    """Return every command of `python -m deploy` that a page gives, with each of its options."""
    for page in PAGES:
        for command, options in DEPLOYS.findall(page.read_text(encoding="utf-8")):
            yield from ((command, option) for option in [*OPTION.findall(options), "--help"])


@pytest.mark.parametrize(("command", "option"), sorted({*deploying()}))
def test_a_command_that_deploys_takes_what_a_page_gives_it(
    command: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    assert re.search(rf"{option}\b", capsys.readouterr().out)


def test_what_pages_name_of_the_azd_environment_is_there() -> None:
    told = {name for page in PAGES for name in OF_AZD.findall(page.read_text(encoding="utf-8"))}
    there = {*deployment("plain").outputs, *variables()}

    assert len([*deploying()]) > 20
    assert {"AZURE_FUNCTION_APP_URL", "USERSYNC_API_CLIENT_ID"} <= told
    assert told - there == OF_OTHERS
