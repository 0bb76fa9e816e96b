"""The question that a verdict `ask` leads to: what is asked, and what an answer may hold for.

Pure: does no I/O, asks nobody.
"""

from ..protocol.actions import Action, ActionRule, Question, Verdict
from ..protocol.trials import Trial
from .judge import Terms
from .rules import narrowest


def question(action: Action, why: Verdict, trial: Trial | None, terms: Terms) -> Question:
    """The question. Code that nobody could name by a rule is allowed for once, or while it lasts.

    A rule for a tool that runs code would let any code run, and a name may be another function's
    tomorrow. So only a turn or a session holds those.
    """
    of_deeds = [narrowest(deed) for deed in why.deeds]
    rules = tuple(dict.fromkeys(rule for rule in of_deeds if rule is not None))
    if None in of_deeds:
        return Question(action=action, why=why, trial=trial)
    whole = () if why.deeds and terms.policy.asks != "always" else (_of_tool(action),)
    once = bool(why.deeds) or not action.effects.isdisjoint(("run_code", "function"))
    to_write = rules if once else whole
    return Question(action=action, why=why, trial=trial, rules=to_write, held=(*whole, *rules))


def _of_tool(action: Action) -> ActionRule:
    return ActionRule(decision="allow", tool=action.tool)
