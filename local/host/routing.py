"""Which function answers a request: method and path in, function and route values out.

The real host asks one route after the other in the order of the functions' names and takes the
first that matches; a literal has no advantage over a parameter or a catch-all:
https://github.com/Azure/azure-functions-host/issues/9876. A route that does not list the method
does not match either, so a wrong method is 404 (WebScriptHostHttpRoutesManager adds an
HttpMethodRouteConstraint).

Templates: https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-templates
"""

import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from local.host.application import Function
from local.host.configuration import ConfigurationError

Check = Callable[[str], bool]


@dataclass(frozen=True)
class Parameter:
    name: str
    checks: tuple[Check, ...]
    default: str | None
    optional: bool
    catch_all: bool


@dataclass(frozen=True)
class Route:
    function: Function
    template: str
    methods: frozenset[str] | None
    """None: every method."""
    pattern: re.Pattern[str]
    parameters: tuple[Parameter, ...]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The route values, or None if this route does not match."""
        if self.methods is not None and method not in self.methods:
            return None
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        values: dict[str, str] = {}
        for parameter, text in zip(self.parameters, found.groups(), strict=True):
            value = text or parameter.default
            # A check on a catch-all needs something to look at; on an optional segment it does not.
            if value is None and parameter.catch_all and parameter.checks:
                return None
            if value is not None and not all(check(value) for check in parameter.checks):
                return None
            if value is not None:
                values[parameter.name] = value
        return values


class Router:
    def __init__(self, functions: Iterable[Function], prefix: str) -> None:
        """``functions`` in the order of their names."""
        http = (function for function in functions if function.trigger.type == "httpTrigger")
        self.routes = [_route(function, prefix) for function in http]

    def find(self, method: str, raw_path: str) -> tuple[Function, dict[str, str]] | None:
        path = decode_path(raw_path)
        for route in self.routes:
            values = route.match(method, path)
            if values is not None:
                return route.function, values
        return None


def decode_path(raw_path: str) -> str:
    """Percent-decoded, apart from the slash: ``%2F`` is part of a segment, as in ASP.NET."""
    return "%2F".join(unquote(part) for part in re.split("%2[Ff]", raw_path))


def _route(function: Function, prefix: str) -> Route:
    given = str(function.trigger.properties.get("route") or function.name)
    if given.startswith("/"):
        raise ConfigurationError(f"The route of {function.name} must not start with a slash.")
    template = f"{prefix}/{given}" if prefix else given
    pattern, parameters = _compile(template)
    methods = function.trigger.properties.get("methods")
    return Route(
        function=function,
        template=template,
        methods=frozenset(method.upper() for method in methods) if methods else None,
        pattern=pattern,
        parameters=parameters,
    )


# Braces inside of a constraint are doubled; so a parameter ends at the first single one.
_PIECE = re.compile(r"\{((?:[^{}]|\{\{|\}\})+)\}|([^{}/]+)|(/)")
_PARAMETER = re.compile(
    r"(\*{0,2})([A-Za-z_][\w-]*)((?::[\w]+(?:\(.*?\)(?=[:=?]|$))?)*)(?:=(.*?))?(\?)?"
)
_CONSTRAINT = re.compile(r":([a-z]+)(?:\((.*?)\)(?=:|$))?", re.IGNORECASE)


def _compile(template: str) -> tuple[re.Pattern[str], tuple[Parameter, ...]]:
    pattern, position = "", 0
    parameters: list[Parameter] = []
    while position < len(template):
        piece = _PIECE.match(template, position)
        if piece is None:
            raise ConfigurationError(f"The route {template!r} has a brace too many or too few.")
        position = piece.end()
        if piece[1] is None:
            pattern += re.escape(piece[0])
            continue
        parameter = _parameter(piece[1], template)
        parameters.append(parameter)
        pattern = _with_parameter(pattern, parameter)
    return re.compile(f"/{pattern}/?", re.IGNORECASE | re.DOTALL), tuple(parameters)


def _with_parameter(pattern: str, parameter: Parameter) -> str:
    group = "(.*)" if parameter.catch_all else "([^/]+)"
    may_be_left_out = parameter.optional or parameter.catch_all or parameter.default is not None
    if not may_be_left_out:
        return pattern + group
    if pattern.endswith("/"):
        return f"{pattern[:-1]}(?:/{group})?"
    return f"{pattern}{group}?"


def _parameter(text: str, template: str) -> Parameter:
    found = _PARAMETER.fullmatch(text.replace("{{", "{").replace("}}", "}"))
    if found is None:
        raise ConfigurationError(f"The route {template!r} has a parameter that cannot be read.")
    stars, name, constraints, default, optional = found.groups()
    checks = tuple(_check(m[1], m[2], template) for m in _CONSTRAINT.finditer(constraints))
    return Parameter(name, checks, default, bool(optional), bool(stars))


# https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-constraints
_PLAIN: dict[str, Check] = {
    "int": lambda text: re.fullmatch(r"[+-]?\d{1,10}", text) is not None,
    "long": lambda text: re.fullmatch(r"[+-]?\d{1,19}", text) is not None,
    "bool": lambda text: text.lower() in {"true", "false"},
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "decimal": lambda text: _is(float, text),
    "double": lambda text: _is(float, text),
    "float": lambda text: _is(float, text),
    "guid": lambda text: _is(uuid.UUID, text),
    "required": bool,
}
_WITH_NUMBER: dict[str, Callable[[str, int], bool]] = {
    "minlength": lambda text, limit: len(text) >= limit,
    "maxlength": lambda text, limit: len(text) <= limit,
    "length": lambda text, limit: len(text) == limit,
    "min": lambda text, limit: _is(int, text) and int(text) >= limit,
    "max": lambda text, limit: _is(int, text) and int(text) <= limit,
}


def _check(kind: str, argument: str | None, template: str) -> Check:
    if argument is None and kind in _PLAIN:
        return _PLAIN[kind]
    if argument is not None and kind == "regex":
        wanted = re.compile(argument, re.IGNORECASE)
        return lambda text: wanted.search(text) is not None
    if argument is not None and kind in _WITH_NUMBER:
        compare, limit = _WITH_NUMBER[kind], int(argument)
        return lambda text: compare(text, limit)
    raise ConfigurationError(f"The local host does not know the constraint {kind} in {template!r}.")


def _is(type_: Callable[[str], object], text: str) -> bool:
    try:
        type_(text)
    except ValueError:
        return False
    return True
