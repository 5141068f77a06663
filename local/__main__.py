"""``python -m local``: the whole system on this machine, and small commands for it."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from local import commands
from local.client import ApiError
from local.data_folder import DEFAULT_DATA
from local.rig import Options
from local.up import run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    up = verbs.add_parser("up", help="start everything, until Ctrl-C")
    up.set_defaults(verb=_start)
    _add_options(up)
    status = verbs.add_parser("status", help="where everything answers")
    status.set_defaults(verb=commands.status)
    variables = verbs.add_parser("variables", help="URL, TOKEN and more, for the pages' commands")
    variables.set_defaults(verb=commands.variables)
    settings = verbs.add_parser(
        "settings", help="the app's settings, for what reads as the app does"
    )
    settings.set_defaults(verb=commands.settings)
    people = verbs.add_parser("people", help="who is in the sample tenant")
    people.set_defaults(verb=commands.people)
    people.add_argument("search", nargs="?", default="", metavar="SEARCH")
    change = verbs.add_parser("set", help="change somebody in the sample tenant")
    change.set_defaults(verb=commands.change)
    change.add_argument("person", metavar="UPN", help="user principal name or object id")
    change.add_argument("changes", nargs="+", metavar="PROPERTY=VALUE")
    sync = verbs.add_parser("sync", help="run a connection now")
    sync.set_defaults(verb=commands.sync)
    sync.add_argument("connection", nargs="?", default="contoso", metavar="CONNECTION")
    preview = verbs.add_parser("preview", help="what a run would do now")
    preview.set_defaults(verb=commands.preview)
    preview.add_argument("connection", nargs="?", default="contoso", metavar="CONNECTION")
    why = verbs.add_parser("why", help="why somebody is in or out")
    why.set_defaults(verb=commands.why)
    why.add_argument("person", metavar="UPN", help="user principal name or object id")
    why.add_argument("--connection", default="contoso", metavar="CONNECTION")
    users = verbs.add_parser("users", help="print the rows it made")
    users.set_defaults(verb=commands.users)
    users.add_argument("search", nargs="?", default="", metavar="SEARCH")
    users.add_argument("--connection", default="contoso", metavar="CONNECTION")
    users.add_argument("--json", action="store_true", help="whole rows, one a line")
    _add_by_hand(verbs)
    for verb in verbs.choices.values():
        verb.add_argument(
            "--data",
            type=lambda text: Path(text).resolve(),
            default=DEFAULT_DATA,
            metavar="DIR",
            help="where the rig keeps its data",
        )
    return parser


def _add_by_hand(verbs: Any) -> None:
    """Add the commands for people whom an administrator names."""
    candidates = verbs.add_parser("candidates", help="people of the directory to pick from")
    candidates.set_defaults(verb=commands.candidates)
    candidates.add_argument("search", nargs="?", default="", metavar="SEARCH")
    candidates.add_argument(
        "--imported",
        choices=("none", "any", "scope", "manual", "match"),
        help="by what they are in",
    )
    picked = verbs.add_parser("import", help="bring people in by hand")
    picked.set_defaults(verb=commands.import_people)
    picked.add_argument("people", nargs="+", metavar="OBJECT-ID")
    picked.add_argument("--until", metavar="DAY", help="the day on which the rules decide again")
    picked.add_argument("--note", metavar="TEXT", help="why, for the audit")
    synced = verbs.add_parser("sync-people", help="bring a few people in line now")
    synced.set_defaults(verb=commands.sync_people)
    synced.add_argument("who", nargs="+", metavar="WHO", help="object id or user principal name")
    release = verbs.add_parser("release", help="give somebody back to the rules")
    release.set_defaults(verb=commands.release)
    release.add_argument("person", metavar="OBJECT-ID")
    release.add_argument("--confirm", metavar="PLAN-HASH", help="of the refusal before")
    for one in (candidates, picked, synced, release):
        one.add_argument("--connection", default="contoso", metavar="CONNECTION")


def _start(**given: Any) -> int:
    return run(Options(**given))


def _add_options(up: argparse.ArgumentParser) -> None:
    defaults = Options()
    up.add_argument("--port", type=_at_least(1), default=defaults.port, help="of the host")
    up.add_argument("--graph-url", metavar="URL", help="use this Graph, not the emulator")
    up.add_argument("--authority-url", metavar="URL", help="use this token service")
    up.add_argument("--ca-file", type=_file, metavar="PEM", help="an extra root to trust")
    up.add_argument("--people", type=_at_least(10), default=defaults.people, metavar="N")
    up.add_argument("--groups", type=_at_least(1), default=defaults.groups, metavar="N")
    up.add_argument("--seed", type=int, default=defaults.seed, metavar="S")
    up.add_argument("--empty", action="store_true", help="no sample connection")
    up.add_argument("--workers", type=_at_least(1), default=defaults.workers, metavar="N")
    up.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="written once everything answers"
    )


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return value

    return number


def _file(text: str) -> Path:
    file = Path(text)
    if not file.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return file


def main(arguments: Sequence[str]) -> int:
    given = vars(_parser().parse_args(arguments))
    verb: Callable[..., int] = given.pop("verb")
    try:
        code = verb(**given)
        sys.stdout.flush()
    except ApiError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # `… users | head` ends in silence, as with other commands. Not by SIGPIPE's default, which would end
        # the process for any connection that closes: docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
