"""What pydantic found wrong is told at its place in the JSON, in words for an administrator."""

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from sync_core.domain.errors import FieldProblem
from sync_core.domain.problems import document_problems, parameter_problems


def _even(value: int) -> int:
    if value % 2:
        msg = "has to be even"
        raise ValueError(msg)
    return value


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: Annotated[int, AfterValidator(_even)]
    name: str | int | None = None


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    parts: list[Part]


def problems(document: object) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(document)
    found = document_problems(caught.value, document)
    return {problem.path: problem.message for problem in found}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({}, {"parts": "is required"}, id="missing"),
        pytest.param({"parts": [{}]}, {"parts[0].size": "is required"}, id="missing in a part"),
        pytest.param(
            {"parts": [], "part": 1},
            {"part": "is not a known field; check the spelling"},
            id="unknown",
        ),
        pytest.param(
            {"parts": [{"size": 2}, {"size": 3}]}, {"parts[1].size": "has to be even"}, id="rule"
        ),
        pytest.param(
            {"parts": [{"size": 2, "name": []}]},
            {"parts[0].name": "must be text; or: must be a whole number"},
            id="every type that it may have, at one place",
        ),
        pytest.param([], {"": "must be an object"}, id="no object"),
    ],
)
def test_a_problem_has_its_place_and_words(document: Any, expected: dict[str, str]) -> None:
    assert problems(document) == expected


def test_a_step_past_the_end_of_a_list_keeps_its_number() -> None:
    """A validator may see another list than was sent; the address then is the best there is."""
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate({"parts": [{"size": 2}, {}]})

    [problem] = document_problems(caught.value, {"parts": [{"size": 2}]})
    assert problem == FieldProblem("parts[1]", "is required")


def test_a_parameter_is_named_without_where_it_stood_and_only_once() -> None:
    wrong = {"loc": ("query", "top"), "type": "int_type", "msg": "is no number"}
    odd = {"loc": ("header", "Prefer"), "type": "missing", "msg": "Field required"}

    assert parameter_problems([wrong, wrong, odd]) == [
        FieldProblem("top", "must be a whole number"),
        FieldProblem("Prefer", "is required"),
    ]
