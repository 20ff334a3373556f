"""Before the engine stops, the ledger is sealed to the end of its streams, or it is said that it is not."""

import io
import json
from typing import Any

import pytest

from weaudit.installation import draining
from weaudit.installation.targets import Target

ALIAS = "arn:aws:lambda:us-east-1:000000000000:function:weaudit-ledger-sealer:live"


class Sealer:
    """A target whose sealer gives these answers in turn, the last one for ever."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers = list(answers)
        self.calls = 0

    def client(self, _service: str, read_s: int) -> Any:
        assert read_s > 300, "a call may last as long as the function's timeout"
        return self

    def invoke(self, **asked: Any) -> dict[str, Any]:
        assert asked["FunctionName"] == ALIAS
        self.calls += 1
        answer = self._answers[min(self.calls, len(self._answers)) - 1]
        return {**answer, "Payload": io.BytesIO(answer.get("Payload", b""))}


def says(**fields: Any) -> dict[str, Any]:
    return {"StatusCode": 200, "Payload": json.dumps({"sealed": 0, "findings": 0, "size": 9, **fields}).encode()}


CRASHED = {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": b'{"errorType": "StoreRefusedError"}'}


@pytest.mark.parametrize(
    ("answers", "sealed", "calls"),
    [
        ((says(behind=False),), True, 1),
        ((says(behind=True), says(behind=True), says(behind=False)), True, 3),
        ((says(behind=True), CRASHED), False, 2),
        (({"StatusCode": 200, "Payload": b""},), False, 1),
    ],
)
def test_the_sealer_is_called_until_it_is_at_the_end(
    answers: tuple[dict[str, Any], ...], sealed: bool, calls: int
) -> None:
    target = Sealer(*answers)
    given: Target = target  # type: ignore[assignment]
    assert draining.sealed(given, ALIAS, 60) is sealed
    assert target.calls == calls


def test_it_is_not_waited_for_for_ever() -> None:
    target = Sealer(says(behind=True))
    assert not draining.sealed(target, ALIAS, 0)  # type: ignore[arg-type]
