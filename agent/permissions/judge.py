"""May this action run? From action, policy and rules to a verdict. Does no I/O, asks nobody.

Several voices speak: the policy's level, its way to ask, each rule. The strictest wins. A rule
that allows answers a question, and never a denial.
"""

from collections.abc import Callable, Iterable
from dataclasses import field, replace
from typing import Literal

from ..frozen import frozen
from ..protocol.actions import Action, ActionRule, Verdict
from ..protocol.policy import Policy
from ..protocol.trials import Deed, Trial
from .rules import allows_call, allows_deed, deeds_named_by, fits

TrialUse = Literal["always", "effects", "never"]
"""Which code is tried in a copy first: all, what is not plain computing, or none."""

_ORDER = ("allow", "try", "ask", "deny")
_CODE = frozenset(("look", "run_code", "edit_notebook", "function"))
_MOST_DEEDS = 3
_MOST_CHARS = 200
_VERBS = {
    "read": "reads",
    "write": "writes",
    "remove": "removes",
    "network": "connects to",
    "command": "runs",
    "process": "starts or signals a process:",
    "native": "runs code that no guard sees:",
    "kernel": "reaches into the agent or the shell:",
    "memory": "takes more memory than allowed:",
}


@frozen(kw_only=True)
class Terms:
    """The terms on which a turn's actions are judged.

    `held`: the person's answers for the turn or the session, as rules. `can_try`: this kernel can
    run code in a copy of itself. `yes`: the deeds to which the person said yes as they changed the
    code of this call. None: they did not change it.
    """

    policy: Policy = field(default_factory=Policy)
    rules: tuple[ActionRule, ...] = ()
    held: tuple[ActionRule, ...] = ()
    trial: TrialUse = "effects"
    can_try: bool = False
    yes: tuple[Deed, ...] | None = None


@frozen(kw_only=True)
class Seen:
    """The findings of reading the code. `plain`: it only computes. `concerns`: deeds that leave
    its variables, and that the walls do not let through. `unheard`: the first thing of which the
    guard would hear nothing, in words. `writer`: the first that writes so, where only a run shows.
    """

    plain: bool = False
    concerns: tuple[Deed, ...] = ()
    unheard: str = ""
    writer: str = ""


_NOTHING_SEEN = Seen()


def judge(action: Action, seen: Seen, terms: Terms) -> Verdict:
    """The verdict on `action` before it runs."""
    return _naming_rules(action, terms, lambda on: _before(action, seen, on))


def _before(action: Action, seen: Seen, terms: Terms) -> Verdict:
    deeds = (*deeds_named_by(action), *seen.concerns)
    level = _by_level(action, seen, terms)
    voices = [level, *_by_rules(action, deeds, terms)]
    if level.decision == "allow":  # else the question comes after the trial, with what it showed
        voices += _by_asking(action, terms)
    return _answered(voices, terms)


def judge_trial(action: Action, trial: Trial, terms: Terms, seen: Seen = _NOTHING_SEEN) -> Verdict:
    """The verdict after a trial run. In level read-only it is `try`: the trial is all there is."""
    return _naming_rules(action, terms, lambda on: _after(action, trial, on, seen))


def _after(action: Action, trial: Trial, terms: Terms, seen: Seen) -> Verdict:
    deeds = (*trial.denied, *trial.deeds)
    level = _by_trial(action, trial, terms)
    if level.decision == "allow" and (hidden := _not_shown(trial, seen)):
        level = _call_asked(action, terms, f"policy {terms.policy.words}: {hidden}") or level
    return _answered([level, *_by_rules(action, deeds, terms), *_by_asking(action, terms)], terms)


def _naming_rules(action: Action, terms: Terms, judged: Callable[[Terms], Verdict]) -> Verdict:
    """The verdict, with the rules and answers in its reason without which it would not allow."""
    verdict, given = judged(terms), (*terms.rules, *terms.held)
    allow = [it for it in given if it.decision == "allow"]
    if verdict.decision != "allow" or not allow or terms.yes is not None:
        return verdict
    others = tuple(it for it in terms.rules if it.decision != "allow")
    if judged(replace(terms, rules=others, held=())).decision == "allow":
        return verdict
    used = [next((it for it in allow if allows_call(it, action)), None)]
    for deed in verdict.deeds:
        used.append(next((it for it in allow if allows_deed(it, action, deed)), None))
    named = "; ".join(dict.fromkeys(it.cited for it in used if it is not None))
    reason = f"{verdict.reason}, and {named}"
    return verdict.model_copy(update={"reason": reason, "by": "rule"})


def named_still(deeds: Iterable[Deed], seen: Seen) -> tuple[Deed, ...]:
    """Those of the deeds that the text of the code names."""
    return tuple(deed for deed in deeds if deed in seen.concerns)


def in_words(deeds: Iterable[Deed]) -> str:
    """The deeds, for a person, on one line. Code chooses their names, so long ones are cut."""
    said = (
        f"was refused something: {_in_line(it.call)}"
        if it.kind == "kernel" and not it.target
        else f"{_VERBS[it.kind]} {_in_line(it.target)}"
        for it in deeds
    )
    told = list(dict.fromkeys(said))
    more = len(told) - _MOST_DEEDS
    return "; ".join([*told[:_MOST_DEEDS], *([f"{more} more"] if more > 0 else [])])


def _in_line(target: str) -> str:
    line = target.replace("\n", "⏎")
    if line in ("", "…"):
        return "what only a run shows"
    return line if len(line) <= _MOST_CHARS else f"{line[:_MOST_CHARS]}…"


def _by_level(action: Action, seen: Seen, terms: Terms) -> Verdict:
    name = f"policy {terms.policy.words}"
    if action.reads_only:
        return Verdict(decision="allow", reason="reads only")
    runs = "run_code" in action.effects
    if terms.policy.level == "full":
        return Verdict(decision="allow", reason=name)
    if terms.policy.level == "read-only":
        if runs and action.effects <= _CODE and terms.can_try and terms.trial != "never":
            return Verdict(decision="try", reason=f"{name}: code runs as a trial alone")
        return Verdict(decision="deny", reason=f"{name}: the agent may look, but run nothing")
    named = () if action.effects <= _CODE else deeds_named_by(action)
    foreign = (*named, *seen.concerns)
    if refused := _not_allowed(action, foreign, terms):
        return _asked(refused, f"{name}:")
    if not action.effects <= _CODE and not named:
        reason = f"{name}: {action.tool} reaches beyond the kernel"
        return _call_asked(action, terms, reason) or Verdict(decision="allow", reason=name)
    if runs and not foreign and terms.can_try and _is_tried(seen, terms.trial):
        return Verdict(decision="try", reason=f"{name}: not plain computing")
    return Verdict(decision="allow", reason=name, deeds=foreign)


def _by_trial(action: Action, trial: Trial, terms: Terms) -> Verdict:
    name = f"policy {terms.policy.words}"
    if trial.status == "none":
        reason = f"{name}: a trial run is not possible here: {trial.why}"
        if terms.policy.level == "read-only":
            return Verdict(decision="deny", reason=reason)
        return _call_asked(action, terms, reason) or Verdict(decision="allow", reason=reason)
    if terms.policy.level == "read-only":
        return Verdict(decision="try", reason=f"{name}: it ran as a trial alone")
    if refused := _not_allowed(action, trial.denied, terms):
        return _asked(refused, f"{name}: in its trial run")
    if trial.status == "killed":
        return Verdict(decision="ask", reason=f"{name}: its trial run was killed: {trial.why}")
    clean = f"{name}: its trial run did only what is allowed"
    return Verdict(decision="allow", reason=clean, deeds=trial.denied)


def _not_shown(trial: Trial, seen: Seen) -> str:
    """The part that the trial has not shown, and the guard would not hear, in words."""
    if trial.status == "cut" and seen.unheard:
        return f"its trial run was cut before its end, and no guard hears all of it: {seen.unheard}"
    wrote = any(it.kind == "write" for it in trial.deeds)
    if seen.writer and trial.status in ("ok", "error") and not wrote:
        return f"its trial run wrote nothing, and no guard hears what it may write: {seen.writer}"
    return ""


def _by_rules(action: Action, deeds: Iterable[Deed], terms: Terms) -> list[Verdict]:
    deeds = tuple(deeds)
    return [
        Verdict(decision=rule.decision, reason=f"a rule of {rule.cited}", by="rule")
        for rule in terms.rules
        if rule.decision == "deny"
        or (rule.decision == "ask" and not _is_answered(rule, action, deeds, terms))
        if fits(rule, action, deeds)
    ]


def _is_answered(rule: ActionRule, action: Action, deeds: Iterable[Deed], terms: Terms) -> bool:
    """Whether the person has answered the question of this rule, for more than once or by a yes to
    code that they changed."""
    if any(allows_call(it, action) for it in terms.held):
        return True
    if fits(rule, action, ()):  # it asks about the call, whatever the call does
        return terms.yes is not None
    about = [deed for deed in deeds if fits(rule, action, [deed])]
    return bool(about) and all(_is_allowed(it, action, terms.held, terms) for it in about)


def _by_asking(action: Action, terms: Terms) -> list[Verdict]:
    if terms.policy.asks != "always" or action.reads_only:
        return []
    asked = _call_asked(action, terms, f"policy {terms.policy.words}")
    return [asked] if asked else []


def _call_asked(action: Action, terms: Terms, reason: str) -> Verdict | None:
    """The question whether the tool may be called at all. None if a rule or an answer says yes."""
    rules = (*terms.rules, *terms.held)
    if terms.yes is not None or any(allows_call(rule, action) for rule in rules):
        return None
    return Verdict(decision="ask", reason=reason)


def _asked(deeds: tuple[Deed, ...], name: str) -> Verdict:
    return Verdict(decision="ask", reason=f"{name} it {in_words(deeds)}", deeds=deeds)


def _not_allowed(action: Action, deeds: Iterable[Deed], terms: Terms) -> tuple[Deed, ...]:
    rules = (*terms.rules, *terms.held)
    return tuple(deed for deed in deeds if not _is_allowed(deed, action, rules, terms))


def _is_allowed(deed: Deed, action: Action, rules: Iterable[ActionRule], terms: Terms) -> bool:
    """Whether a rule, or a yes to changed code, allows this deed."""
    return deed in (terms.yes or ()) or any(allows_deed(it, action, deed) for it in rules)


def _is_tried(seen: Seen, use: TrialUse) -> bool:
    return use == "always" or (use == "effects" and not seen.plain)


def _answered(voices: list[Verdict], terms: Terms) -> Verdict:
    """The strictest voice, the first of equal ones. Where nobody is asked, a question is a no.

    Where code runs as a trial alone, there is nothing to ask: a yes would run it live.
    """
    verdict = max(voices, key=lambda it: _ORDER.index(it.decision))
    level = voices[0]
    if verdict.decision == "ask" and level.decision == "try" and terms.policy.level == "read-only":
        return level
    if verdict.decision == "ask" and terms.policy.asks == "never":
        reason = f"{verdict.reason} (and nobody is asked)"
        return verdict.model_copy(update={"decision": "deny", "reason": reason})
    if verdict.decision == "ask" and not verdict.deeds:
        deeds = next((it.deeds for it in voices if it.decision == "ask" and it.deeds), ())
        return verdict.model_copy(update={"deeds": deeds})
    return verdict
