"""Keys of known formats, and values of secret names, are found; ordinary texts are left alone."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.protocol.events import TextDelta
from inkernel.agent.text.masked_events import MaskedEvents
from inkernel.agent.text.masking import MASKED, Mask
from inkernel.agent.text.secret_formats import FORMATS, masked_formats
from inkernel.agent.text.secret_names import may_be_secret, secret_entries, secrets_in_code

BODY = "Zk81Ve0tQ7mGh7cXy2LwRb5NdJ9fKsAo3PiE6xUqTzMv"
KEYS = {
    "openai": f"sk-proj-{BODY}",
    "anthropic": f"sk-ant-api03-{BODY}",
    "openrouter": "sk-or-v1-" + "4f8a91c2d7e65b30" * 4,
    "aws": "AKIA" + "IOSFODNN7EXAMPLE"[:16].replace("8", "7").replace("9", "2").replace("1", "2"),
    "github": "ghp_" + BODY[:36],
    "github fine-grained": "github_pat_" + BODY + BODY[:20],
    "gitlab": "glpat-" + BODY[:20],
    "google": "AIza" + BODY[:35],
    "slack": "xoxb-" + "123456789012-" + BODY[:24],
    "stripe": "sk_" + "live_" + BODY[:24],
    "hugging face": "hf_" + BODY[:34],
    "npm": "npm_" + BODY[:36],
    "pypi": "pypi-AgEIcHlwaS5vcmc" + BODY + BODY[:10],
    "jwt": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.{BODY}",
}
MASK = Mask(formats=True)


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("around", ["{}", "key: {}\n", "'{}'", '{{"k": "{}"}}', "a {} b", "\0{}\0"])
def test_a_key_of_a_known_format_is_masked(name: str, around: str):
    masked = MASK.text(around.format(KEYS[name]))
    assert masked == around.format(MASKED)
    assert MASK.text(masked) == masked


@pytest.mark.parametrize(
    "around",
    [
        "[default]\naws_secret_access_key = {}\n",
        "aws_secret_access_key={}",
        '{{"SecretAccessKey": "{}", "Version": 1}}',
        "secretAccessKey: '{}'",
        "AWS_SECRET_ACCESS_KEY: {}\n",
    ],
)
def test_a_secret_of_aws_is_masked_by_the_name_before_it(around: str):
    assert MASK.text(around.format(BODY[:40])) == around.format(MASKED)
    assert BODY[:39] in MASK.text(around.format(BODY[:39]))


def test_of_a_private_key_only_its_frame_is_left():
    body = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"] * 20)
    text = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\nafter"
    for form in (text, repr(text)):
        masked = MASK.text(form)
        assert "MIIEv" not in masked
        assert "after" in masked
    assert "MIIEv" not in MASK.text(text[:200])  # its end was cut off


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "{}\nafter it, all stays: /usr/lib/x and more",
        '{{"output": "{}", "next": "after it"}}',
        "{}-----END RSA PRIVATE KEY-----, after it",
        "{}[lines 3–9 of out-1 left out]\nProc-Type: after it",
        "key = (\n    '{}'\n)\nafter(it)",
    ],
)
@pytest.mark.parametrize("escapes", [0, 1, 2])
def test_a_private_key_takes_nothing_with_it_that_follows_it(around: str, escapes: int):
    head = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n"
    text = around.format(head + "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"] * 3))
    for _ in range(escapes):
        text = json.dumps(text)
    masked = MASK.text(text)
    assert "MIIEv" not in masked and masked.count(MASKED) == 1
    after = text[text.index("after") :] if "after" in text else MASKED
    assert masked.rstrip('\\"').endswith(after.rstrip('\\"'))
    assert MASK.text(masked) == masked


def test_of_a_connection_only_the_password_is_masked():
    text = "postgresql://ada:s3cr3tPass@db.example:5432/x https://example.org:8080/a"
    assert (
        MASK.text(text) == f"postgresql://ada:{MASKED}@db.example:5432/x https://example.org:8080/a"
    )


def test_an_environment_of_a_process_that_is_printed_shows_no_secret():
    environ = "HOME=/root\0DB_PASSWORD=hunter2hunter2\0STRIPE_KEY=abc12345\0LANG=C\0"
    for form in (environ, environ.replace("\0", "\n"), repr(environ.encode())):
        masked = MASK.text(form)
        assert "hunter2" not in masked and "abc12345" not in masked
        assert "/root" in masked and "LANG=C" in masked


@pytest.mark.parametrize(
    "text",
    [
        "#sk-container-id-1 div.sk-toggleable__content.sk-estimator-doc-link-fitted",
        "from sklearn import svm  # sk-learn-contrib-imbalanced-learn-over-sampling",
        "https://user@example.org/a:b@c git@github.com:me/x.git mailto:a@b.c",
        "postgresql://{user}:{password}@host/db and redis://:<password>@host",
        "eyJ is how JSON begins; xox; hf_hub; AIza; npm_config; KEY=value",
        "def f(key=None, token=''): return token",
    ],
)
def test_ordinary_texts_stay_the_same_objects(text: str):
    assert MASK.text(text) is text
    assert MASK.value({"a": [text]})["a"][0] is text


def test_a_format_that_is_allowed_is_shown():
    mask = Mask(formats=True, allowed=frozenset({"google-key"}))
    assert mask.text(KEYS["google"]) == KEYS["google"]
    assert mask.text(KEYS["github"]) == MASKED


@given(st.text(), st.sampled_from(sorted(KEYS)), st.text())
def test_text_around_a_key_stays(before: str, name: str, after: str):
    text = f"{before} {KEYS[name]} {after}"
    masked = masked_formats(text, MASKED)
    assert KEYS[name] not in masked
    assert masked_formats(f"{before} ", MASKED) in masked


def in_pieces(text: str, cuts: list[int]) -> str:
    """The text as it is shown when it comes in pieces."""
    shown = list[str]()

    def take(event: object) -> None:
        assert isinstance(event, TextDelta)
        shown.append(event.text)

    events = MaskedEvents(MASK, take)
    places = [0, *sorted(cuts), len(text)]
    for start, end in pairwise(places):
        events.show(TextDelta(text=text[start:end]))
    events.flush()
    return "".join(shown)


@given(name=st.sampled_from(sorted(KEYS)), cuts=st.lists(st.integers(0, 90), max_size=6))
def test_a_key_that_comes_in_pieces_is_never_shown(name: str, cuts: list[int]):
    assert in_pieces(f"It is {KEYS[name]} and more.", cuts) == f"It is {MASKED} and more."


LONG = {
    "a private key": f"-----BEGIN RSA PRIVATE KEY-----\n{'MIIEow/+z9' * 900}\n-----END RSA",
    "a password with signs": "then\nDB_PASSWORD=h!u#n,t(e)r;2?\nand",
    "a password of a connection": "at postgres://me:h!u#n,t(e)r;2?@host/db and",
    "a restricted key": f"It is rk_live_{'a1B2' * 8} and",
    **{name: f"It is {key} and more." for name, key in KEYS.items()},
}


@pytest.mark.parametrize("name", LONG)
def test_a_key_in_two_pieces_is_masked_wherever_it_is_cut(name: str):
    text = LONG[name]
    whole = masked_formats(text, MASKED)
    assert whole != text
    for cut in (*range(min(len(text), 150)), *range(150, len(text), 997)):
        assert in_pieces(text, [cut]) == whole, cut


@pytest.mark.parametrize("name", LONG)
def test_a_key_that_comes_letter_by_letter_is_masked(name: str):
    text = LONG[name]
    step = 1 if len(text) < 500 else 7
    assert in_pieces(text, list(range(0, len(text), step))) == masked_formats(text, MASKED)


def test_no_format_is_slow_on_a_long_text():
    """Patterns that look again and again at the same text would never end here."""
    for row in FORMATS:
        for mark in row.marks:
            for piece in (mark, mark + "a", mark + "A_", mark + "0-", mark + ":"):
                MASK.text(piece * 2_000)


def test_values_of_secret_names_are_found_and_words_are_not():
    environ = {
        "DB_PASSWORD": "hunter2hunter2",
        "SLACK_TOKEN": "disabled",
        "MY_KEY": "12345678",
        "API_KEY": "<your key here>",
        "HOME": "/home/ada",
    }
    assert secret_entries(environ) == {"DB_PASSWORD": "hunter2hunter2"}
    source = (
        "api_key = 'Zk81Ve0tQ7'\nclient = Client(password=\"pa55word!\", user='ada12345')\n"
        "os.environ['MY_TOKEN'] = 'abc-123-def'\nd = {'secret': 's3cr3t-s3cr3t'}\nx.key = f(1)\n"
        "token = 'two words 12'\nmonkey = 'banana123'\nprimary_keys = 'id12345678'\n"
    )
    assert dict(secrets_in_code(source)) == {
        "api_key": "Zk81Ve0tQ7",
        "password": "pa55word!",
        "MY_TOKEN": "abc-123-def",
        "secret": "s3cr3t-s3cr3t",
    }


@given(st.text())
def test_any_text_can_be_asked_about(text: str):
    may_be_secret(text)
    list(secrets_in_code(text))
