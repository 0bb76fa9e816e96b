"""Names of servers' tools: short, distinct, the same in any order."""

import hashlib
import random
import re

from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.conversation.history import base_namespace
from inkernel.agent.tools.mcp.names import (
    MAX_TOOL_NAME,
    again_namespace,
    function_name,
    namespace_name,
    tool_names,
)

texts = st.text(max_size=8) | st.text("ab-_./ ", max_size=70)
pairs = st.lists(st.tuples(texts, texts), max_size=8)


def test_a_name_has_the_server_and_the_tool():
    assert tool_names([("git", "git_log"), ("my server", "a.b/c")]) == {
        ("git", "git_log"): "mcp__git__git_log",
        ("my server", "a.b/c"): "mcp__my_server__a_b_c",
    }


@given(pairs, st.sets(st.sampled_from(["mcp__a__b", "run_cell"])), st.randoms())
def test_names_are_distinct_and_the_same_in_any_order(
    pairs: list[tuple[str, str]], taken: set[str], chance: random.Random
):
    found = tool_names(pairs, taken)
    assert set(found) == set(pairs)
    assert list(found) == sorted(found)
    assert len(set(found.values()) | taken) == len(found) + len(taken)
    for name in found.values():
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) and name.startswith("mcp__")
    chance.shuffle(pairs)
    assert list(tool_names(pairs, taken).items()) == list(found.items())


def test_names_that_would_be_the_same_end_in_a_hash_each():
    found = tool_names([("s", "a.b"), ("s", "a/b"), ("s", "c")])
    assert found["s", "c"] == "mcp__s__c"
    assert found["s", "a.b"] != found["s", "a/b"]
    assert all(re.fullmatch(r"mcp__s__a_b_[0-9a-f]{12}", found["s", it]) for it in ("a.b", "a/b"))


def test_a_long_name_is_cut_and_ends_in_a_hash_of_the_pair():
    tool = "a tool/with." * 8
    name = tool_names([("server", tool)])["server", tool]
    digest = hashlib.sha1(f"server\0{tool}".encode()).hexdigest()
    assert name == f"mcp__server__a_tool_with_a_tool_with_a_tool_with_a__{digest[:12]}"
    assert len(name) == MAX_TOOL_NAME


def test_a_name_that_is_taken_is_not_given_again():
    found = tool_names([("s", "t")], taken=["mcp__s__t"])["s", "t"]
    assert found != "mcp__s__t"
    assert tool_names([("s", "t")], taken=["mcp__s__t", found])["s", "t"] not in (
        "mcp__s__t",
        found,
    )


def test_a_tool_that_has_the_hashed_name_of_another_gets_a_hash_of_its_own():
    hashed = tool_names([("s", "a.b"), ("s", "a/b")])["s", "a.b"].removeprefix("mcp__s__")
    found = tool_names([("s", "a.b"), ("s", "a/b"), ("s", hashed)])
    assert len(set(found.values())) == 3


@given(st.lists(texts, unique=True, min_size=2, max_size=8), st.integers(1, 99))
def test_namespaces_and_functions_have_names_of_their_own(given: list[str], n: int):
    for name_of in (namespace_name, function_name):
        names = [name_of(it) for it in given]
        assert len(set(names)) == len(given)
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", it) for it in names)
    for it in map(namespace_name, given):
        assert base_namespace(again_namespace(it, n)) == it
    assert (namespace_name("git"), function_name("git_log")) == ("mcp__git", "git_log")
    assert namespace_name("git__2") != again_namespace("mcp__git", 2)
