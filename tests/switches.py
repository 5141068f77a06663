"""Where sources about Graph disagree, the emulator has a switch: tests that are run with each choice.

`make proof` runs everything with the other choices; these few show in `make test` already that the product
relies on none.
"""

import pytest

from local.graph.service import CHOICES

SWITCHED = "switched"


def either_way(name: str) -> pytest.MarkDecorator:
    """Run a test with each choice of one switch; its `emulator` is set so before the test begins."""
    choices = [{name: choice} for choice in CHOICES[name]]
    return pytest.mark.parametrize(SWITCHED, choices, ids=map(str, CHOICES[name]), indirect=True)


def the_other_way() -> pytest.MarkDecorator:
    """Run a test a second time with the second choice of all switches."""
    others = {name: second for name, (_, second, *_) in CHOICES.items()}
    return pytest.mark.parametrize(
        SWITCHED, [{}, others], ids=["as usual", "the other way"], indirect=True
    )
