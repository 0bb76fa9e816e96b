"""The tokens of an answer that broke off: as the server counted them, or as we do."""

import pytest

from inkernel.agent.dialects.dialect import Counted, ResponseDone
from inkernel.agent.dispatch.heard import Heard
from inkernel.agent.protocol.events import TextDelta, Usage
from inkernel.agent.text.tokens import estimate

WORDS = "Half of an answer that goes on for some time."
SAID = estimate(WORDS)


@pytest.mark.parametrize(
    ("reported", "spent"),
    [
        (Usage(), Usage(input=100, output=SAID, estimated=100 + SAID)),
        (Usage(input=90, cached=80), Usage(input=90, cached=80, output=SAID, estimated=SAID)),
        (Usage(input=90, output=SAID), Usage(input=90, output=SAID)),
        (Usage(output=SAID), Usage(input=100, output=SAID, estimated=100)),
    ],
)
def test_a_count_that_is_none_is_ours(reported: Usage, spent: Usage):
    one = Heard()
    one.take(TextDelta(text=WORDS))
    one.take(Counted(reported))
    assert one.of_broken(100) == spent


def test_an_answer_that_ended_or_never_began_is_not_broken():
    ended, unheard = Heard(), Heard()
    ended.take(TextDelta(text=WORDS))
    ended.take(ResponseDone(None))
    assert ended.of_broken(100) is None
    assert unheard.of_broken(100) is None
