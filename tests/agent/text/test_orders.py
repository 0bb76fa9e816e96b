"""Which sentences order something, for good or for now."""

import pytest

from inkernel.agent.text.orders import order, sentences


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Never touch raw/2019.parquet.", 2),
        ("You mustn’t write there.", 2),
        ("Decision: we take the median.", 2),
        ("Task: find the gauges that drifted.", 2),
        ("From now on, depths are in millimetres.", 2),
        ("Bitte auf keinen Fall löschen.", 2),
        ("Il faut garder l'ordre.", 2),
        ("No hay que borrar: nunca.", 2),
        ("绝不要写入原始文件。", 2),
        ("Do not load it again.", 1),
        ("Don't plot it.", 1),
        ("please use polars", 1),
        ("Leave the old frames as they are.", 1),
        ("Nur die Monate.", 1),
        ("不要重新加载。", 1),
        ("Look at the months of Faro in 2001.", 0),
        ("The knot is where it was.", 0),
        ("", 0),
    ],
)
def test_a_rule_an_order_and_a_question_differ(sentence: str, expected: int):
    assert order(sentence) == expected


def test_sentences_end_at_their_signs_and_at_line_ends_but_not_within_names():
    text = "Never touch raw/2019.parquet. It is shared!\n- one\n\n绝不。可以"
    assert list(sentences(text)) == [
        *("Never touch raw/2019.parquet.", "It is shared!", "- one", "绝不。", "可以"),
    ]
