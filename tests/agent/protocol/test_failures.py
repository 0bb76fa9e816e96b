"""Which error each failed answer is."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from inkernel.agent import errors
from inkernel.agent.protocol.failures import (
    ServerAnswer,
    error_in_stream,
    error_of,
    not_connected,
)
from inkernel.agent.protocol.waits import retry_after


def answer(
    status: int,
    body: bytes | object = b"",
    headers: Mapping[str, str] | None = None,
    key_source: str | None = None,
) -> ServerAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ServerAnswer("host:1", "m", status, headers or {}, raw, key_source)


def error(code: object, message: str = "Said so.", **more: object) -> dict[str, object]:
    return {"error": {"code": code, "message": message, **more}}


@pytest.mark.parametrize(
    ("server", "advice"),
    [
        ("127.0.0.1:11434", "Start it"),
        ("localhost:1234", "Start it"),
        ("[::1]:8000", "Start it"),
        ("api.anthropic.com", "Check your network"),
        ("localhost.example.org", "Check your network"),
    ],
)
def test_a_server_elsewhere_is_not_yours_to_start(server: str, advice: str):
    assert not_connected(server, OSError("no way")).hint.startswith(advice)


MODEL = ("knows no model 'm'", "`%agent models`")


def typed(kind: str, message: str) -> dict[str, object]:
    """An error in Anthropic's form."""
    return {"type": "error", "error": {"type": kind, "message": message}}


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer(529, typed("overloaded_error", "Overloaded")), errors.RateLimitError),
        (answer(429, typed("rate_limit_error", "Slow down")), errors.RateLimitError),
        (answer(402, typed("billing_error", "Pay.")), errors.QuotaError),
        (
            answer(
                400, typed("invalid_request_error", "Your credit balance is too low to access it.")
            ),
            errors.QuotaError,
        ),
        (answer(404, typed("not_found_error", "model: claude-x")), errors.ModelNotFoundError),
        (answer(413, typed("request_too_large", "Too large.")), errors.ContextLengthError),
        (
            answer(400, typed("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")),
            errors.ContextLengthError,
        ),
        (
            answer(
                400,
                typed(
                    "invalid_request_error",
                    "input length and `max_tokens` exceed context limit: 9 + 3 > 8",
                ),
            ),
            errors.ContextLengthError,
        ),
        (answer(400, [error(400, "API key not valid. Pass a valid API key.")]), errors.AuthError),
        (
            answer(
                400, [error(400, "The input token count exceeds the maximum number of tokens.")]
            ),
            errors.ContextLengthError,
        ),
        (answer(400, []), errors.ProtocolError),
        (answer(401, error("invalid_api_key")), errors.AuthError),
        (answer(403, b"<html>Forbidden</html>"), errors.AuthError),
        (answer(404, error(404, type="NotFoundError")), errors.ModelNotFoundError),
        (answer(404, b"not found"), errors.ModelNotFoundError),
        (answer(429, error("rate_limit_exceeded")), errors.RateLimitError),
        (answer(429), errors.RateLimitError),
        (answer(429, error(None, type="too_many_requests")), errors.RateLimitError),
        (answer(503, error("server_is_overloaded")), errors.RateLimitError),
        (answer(429, error("insufficient_quota")), errors.QuotaError),
        (answer(429, error(None, type="usage_limit_reached")), errors.QuotaError),
        (answer(429, error("429", type="insufficient_quota")), errors.QuotaError),
        (answer(400, error("context_length_exceeded")), errors.ContextLengthError),
        (answer(400, error(400, type="exceed_context_size_error")), errors.ContextLengthError),
        (answer(400, error("invalid_prompt")), errors.RequestRefusedError),
        (answer(422, {"detail": [{"loc": ["input"], "msg": "wrong"}]}), errors.RequestRefusedError),
        (answer(500, error("server_error")), errors.ServerFaultError),
        (answer(500, b"Internal Server Error"), errors.ServerFaultError),
        (answer(502, b"<html>Bad Gateway</html>"), errors.ServerFaultError),
        (answer(408, error(None)), errors.ServerFaultError),
        (answer(409, error(None)), errors.ServerFaultError),
        (answer(200, b"<html>Welcome</html>", {"content-type": "text/html"}), errors.ProtocolError),
        (answer(200, {"object": "response", "error": None}), errors.ProtocolError),
        (answer(301, b""), errors.ProtocolError),
        (answer(400, b"[" * 99_999), errors.ProtocolError),
    ],
)
def test_an_answer_is_an_error_of_its_kind(given: ServerAnswer, kind: type[errors.ModelError]):
    found = error_of(given)
    assert type(found) is kind
    assert "host:1" in found.message or kind is errors.ContextLengthError
    assert found.hint


@pytest.mark.parametrize(
    ("path", "api", "body", "first", "hint"),
    [
        ("/v1/responses", "Responses API", b"Not Found", "no Responses API", "Perhaps it has Chat"),
        ("/v1/messages", "Messages API", {"detail": "Not Found"}, "no Messages API", "Perhaps it"),
        (
            "/v1/chat/completions",
            "Chat Completions API",
            b"",
            "no Chat",
            "Perhaps it has Responses",
        ),
        (
            "/responses",
            "Responses API",
            b"404 page not found",
            "no Responses API",
            "Check base_url",
        ),
        ("/v1/models", "Responses API", b"", "lists no models", "Name the model"),
        ("/v1/responses", "Responses API", error(404, "The model `m` does not exist."), *MODEL),
        ("/v1/messages", "Messages API", typed("not_found_error", "model: m"), *MODEL),
        (
            "/v1/messages",
            "Messages API",
            typed("not_found_error", "Not Found"),
            "no Mess",
            "Perhaps",
        ),
        ("/v1/responses", "Responses API", error("model_not_found", "No such thing."), *MODEL),
    ],
)
@pytest.mark.parametrize("status", [404, 405])
def test_what_is_not_there_is_named_with_its_likeliest_cause_first(
    status: int, path: str, api: str, body: object, first: str, hint: str
):
    if status == 405 and first == MODEL[0]:
        pytest.skip("It is of the path.")
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = error_of(ServerAnswer("host:1", "m", status, {}, text, api=api, path=path))
    assert type(found) is errors.ModelNotFoundError
    assert found.message.startswith(f"host:1 {'knows' if first == MODEL[0] else ''}".rstrip())
    assert first in found.message.partition(" It says:")[0] and found.hint.startswith(hint)
    assert f"{found.message} {found.hint}".count("dialect") == (hint[:7] in ("Perhaps", "Check b"))


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("OPENAI_API_KEY", "`%env OPENAI_API_KEY=KEY`"),
        ("the keyring", "`%agent key`"),
        ("api_key_command", "The command"),
        (None, "`%agent key`"),
    ],
)
def test_a_refused_key_is_mended_where_it_is_from(source: str | None, hint: str):
    assert hint in error_of(ServerAnswer("host:1", "m", 401, {}, b"", source)).hint


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (error(None, "The model is asleep."), "The model is asleep."),
        ({"error": "The model is asleep."}, "The model is asleep."),
        ({"detail": "The model is asleep."}, "The model is asleep."),
        ({"message": "The model is asleep."}, "The model is asleep."),
        ({"error": {"error": {"message": "The model is asleep."}}}, "The model is asleep."),
        (b'data: {"error": {"message": "The model is asleep."}}\n\ndata: [DONE]\n', "is asleep."),
        ({"detail": [{"msg": "Field required"}]}, "Field required"),
    ],
)
@pytest.mark.parametrize("status", [400, 404, 500])
def test_the_servers_own_words_are_told(status: int, body: bytes | object, words: str):
    assert words in error_of(answer(status, body)).message


def test_the_servers_words_are_told_up_to_a_length():
    assert len(error_of(answer(500, error(None, "x" * 100_000))).message) < 500


def test_a_refused_key_is_named_by_its_variable():
    assert "the key from MY_KEY" in error_of(answer(401, key_source="MY_KEY")).message
    assert "it had no key" in error_of(answer(401)).message


def test_an_answer_that_is_not_json_is_named_by_its_type():
    page = answer(200, b"<html>", {"content-type": "text/html; charset=utf-8"})
    assert "answered with a web page (HTTP 200), not" in error_of(page).message
    assert "no content type" in error_of(answer(200)).message


SPENT = "You exceeded your current quota, please check your plan and billing details."


@pytest.mark.parametrize(
    ("words", "details", "kind"),
    [
        ("", "", errors.QuotaError),
        (" Please retry in 15.002899939s.", "", errors.RateLimitError),
        ("", '"retryDelay": "26s"', errors.RateLimitError),
        (" * limit: 0, model: gemini-3.8-pro Please retry in 20.04s.", "", errors.QuotaError),
        ("", '"quotaId": "RequestsPerDay-FreeTier", "retryDelay": "42s"', errors.QuotaError),
    ],
)
def test_a_quota_that_a_short_wait_gives_back_is_told_from_one_that_is_spent(
    words: str, details: str, kind: type[errors.ModelError]
):
    told = json.dumps(SPENT + words)
    body = f'[{{"error": {{"code": 429, "message": {told}, "details": [{{{details}}}]}}}}]'.encode()
    assert type(error_of(answer(429, body))) is kind


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("try again in 20s", "in a minute"),
        ("try again in 7m12.5s", "in 8 minutes"),
        ("try again in 6h0m0s", "in 6 hours"),
    ],
)
def test_the_advice_names_the_wait_that_a_server_asks_for(words: str, advice: str):
    assert advice in error_of(answer(429, error(words))).hint


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_wait_a_server_asks_for_is_kept_with_the_error(status: int):
    found = error_of(answer(status, error(None), {"retry-after": "7"}))
    assert found.after == 7


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "-4"}, 0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
        ({"retry-after": "Wednesday"}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"date": "Fri, 20 Nov 2026 10:00:00 GMT"}, 7.0),
        ({"date": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"date": "yesterday"}, 0.0),
        ({}, 0.0),
    ],
)
def test_a_wait_until_a_date_is_reckoned_from_the_answers_own(
    headers: dict[str, str], seconds: float | None
):
    until = "Fri, 20 Nov 2026 10:00:07 GMT"
    assert retry_after({"retry-after": until, **headers}) == seconds


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit reached. Please try again in 1.398s. Visit the page.", 1.398),
        ("Please try again in 20ms.", 0.02),
        ("Please try again in 7 s", 7.0),
        ("Please try again in a while.", None),
    ],
)
def test_a_wait_is_read_from_the_words_when_there_is_no_header(words: str, seconds: float | None):
    failed = error_in_stream({"code": "rate_limit_exceeded", "message": words}, "host:1", "m")
    assert failed.after == seconds
    assert retry_after({"retry-after": "3"}, words) == 3


def test_an_error_event_may_carry_headers():
    inner = {"code": "too_many_requests", "message": "x", "headers": {"Retry-After": "4"}}
    assert error_in_stream({"type": "error", "error": inner}, "host:1", "m").after == 4


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"code": "server_error", "message": "It broke."}, errors.ServerFaultError),
        ({"code": "rate_limit_exceeded", "message": "Slow."}, errors.RateLimitError),
        ({"type": "overloaded_error", "message": "Overloaded"}, errors.RateLimitError),
        ({"type": "authentication_error", "message": "No."}, errors.AuthError),
        ({"type": "api_error", "message": "Broken."}, errors.ServerFaultError),
        ({"code": "insufficient_quota", "message": "Pay."}, errors.QuotaError),
        ({"code": "context_length_exceeded", "message": "Long."}, errors.ContextLengthError),
        ("It broke.", errors.ServerFaultError),
        (None, errors.ServerFaultError),
        ([1], errors.ServerFaultError),
    ],
)
def test_an_error_in_a_stream_is_of_its_kind(said: object, kind: type[errors.ModelError]):
    assert type(error_in_stream(said, "host:1", "m")) is kind


def test_only_what_time_may_cure_is_tried_again():
    tree = set(errors.ModelError.__subclasses__())
    assert {kind.__name__ for kind in tree if kind.retryable} == {
        *("UnreachableError", "RateLimitError", "ServerFaultError", "StreamBrokenError"),
        "ResponseGoneError",
    }
    assert not errors.ContextLengthError.retryable


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "This model's maximum context length is 2048 tokens. However, you requested 2100."),
        (400, "The prompt is too long: 9000 tokens."),
        (413, "Too many input tokens"),
        (400, "Trying to keep the first 9000 tokens when context size is only 4096."),
    ],
)
def test_a_conversation_too_long_is_known_by_the_servers_words_alone(status: int, words: str):
    found = error_of(answer(status, error(status, words)))
    assert type(found) is errors.ContextLengthError
    assert words in found.message


def test_too_many_tokens_a_minute_are_not_too_long_a_conversation():
    found = error_of(answer(429, error(None, "Too many tokens in the last minute.")))
    assert type(found) is errors.RateLimitError


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.RequestRefusedError),
        (401, errors.AuthError),
        (404, errors.ModelNotFoundError),
        (429, errors.RateLimitError),
        (500, errors.ServerFaultError),
        (503, errors.ServerFaultError),
    ],
)
def test_an_error_over_a_websocket_is_what_its_status_would_be(
    status: int, kind: type[errors.ModelError]
):
    said = {"type": "error", "status": status, "error": {"code": None, "message": "No."}}
    assert type(error_in_stream(said, "host:1", "m")) is kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"message": "This model's maximum context length is 9."}, errors.ContextLengthError),
        ({"code": 400, "message": "No."}, errors.RequestRefusedError),
        ({"code": "429", "message": "No."}, errors.RateLimitError),
        ({"code": "invalid_prompt", "message": "No."}, errors.RequestRefusedError),
        ({"type": "invalid_request_error", "message": "No."}, errors.RequestRefusedError),
        ({"code": "model_not_found", "message": "No."}, errors.ModelNotFoundError),
        ({"code": "server_error", "message": "No."}, errors.ServerFaultError),
    ],
)
def test_what_trying_again_does_not_cure_is_known_in_a_stream(
    said: dict[str, object], kind: type[errors.ModelError]
):
    assert type(error_in_stream(said, "host:1", "m")) is kind


def test_headers_beside_the_error_count_too():
    headers = {"Retry-After": 4}
    said = {"type": "error", "status": 429, "error": {"message": "x"}, "headers": headers}
    assert error_in_stream(said, "host:1", "m").after == 4


def test_a_key_is_hidden_before_it_is_cut():
    body = json.dumps({"error": {"message": "x" * 295 + "sk-secret"}}).encode()
    found = error_of(
        ServerAnswer("h", "m", 400, {}, body, None, lambda t: t.replace("sk-secret", ""))
    )
    assert "sk-s" not in found.message


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        (answer(402, error("402", "Too few credits.")), errors.QuotaError, "Too few credits."),
        (answer(407, b"<html>"), errors.AuthError, "asks for a name and a password"),
        (answer(413, b"<html>"), errors.ContextLengthError, "of this size"),
        (answer(413, error("x", "Body too big.")), errors.ContextLengthError, "Body too big."),
        (
            answer(302, b"", {"location": "https://login.example/in?token=secret"}),
            errors.ProtocolError,
            "sends us on to login.example/in (HTTP 302)",
        ),
        (answer(308, error("moved"), {"location": "/v1/responses/"}), errors.ProtocolError, "/v1/"),
        (
            answer(200, b"<!doctype html>", {"content-type": "Text/HTML; charset=utf-8"}),
            errors.ProtocolError,
            "with a web page",
        ),
    ],
)
def test_an_answer_of_something_in_between_is_named(
    given: ServerAnswer, kind: type[errors.ModelError], words: str
):
    found = error_of(given)
    assert type(found) is kind
    assert words in found.message
    assert "secret" not in str(found)


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_a_date_to_wait_for_counts_from_now_if_the_answer_has_no_date(zone: str):
    until = datetime.now(UTC) + timedelta(seconds=90)
    asked = retry_after({"retry-after": f"{until:%a, %d %b %Y %H:%M:%S} {zone}"})
    assert asked is not None
    assert 0 < asked <= 90


@pytest.mark.parametrize("status", [400, 401, 402, 404, 413, 429, 500])
@pytest.mark.parametrize("code", [None, "insufficient_quota", "context_length_exceeded"])
def test_a_servers_words_end_in_a_full_stop_as_advice_follows(status: int, code: str | None):
    found = error_of(answer(status, error(code, "counted from 0")))
    assert found.message.endswith("counted from 0.")
    assert error_of(answer(status, error(code, "Why?"))).message.endswith("Why?")
