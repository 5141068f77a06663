"""What a run notices of its scope's clauses while it decides."""

from sync_core.domain.documents.scope import Scope
from sync_core.domain.plan.clause_observer import ClauseObserver

CLAUSE = {"attribute": "department", "operator": "EQUALS", "value": "sales"}


def test_a_run_warns_of_the_clauses_that_somebody_has_in_other_letters() -> None:
    seen = ClauseObserver(Scope.model_validate({"filters": [{"clauses": [CLAUSE]}]}))
    unseen = ClauseObserver(Scope(everyone=True))
    for observer in (seen, unseen):
        observer.on_judged({"id": "1", "department": "Sales"}, inside=False)

    assert [one.code for one in seen.warnings()] == ["scope.otherLetters"]
    assert unseen.warnings() == []
