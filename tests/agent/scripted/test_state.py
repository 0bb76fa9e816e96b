"""What the scripted server keeps between requests, over real HTTP: chains, lists, compaction."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from inkernel.agent.scripted import state as scripted_state
from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer

SCRIPT = {
    "model": "m",
    "turn": [
        {
            "response": [
                {"reasoning": "Hm.", "call": [{"name": "look"}]},
                {"expect": "42", "say": "It is 42."},
            ]
        },
        {"response": [{"say": "Second turn."}]},
        {"response": [{"say": "Third turn."}]},
    ],
}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with (
        ScriptedServer(Script.model_validate(SCRIPT)) as server,
        httpx.Client(base_url=server.base_url, timeout=30) as connected,
    ):
        yield connected


def create(client: httpx.Client, given: object = "Hello", **fields: Any) -> dict[str, Any]:
    return client.post("/responses", json={"model": "m", "input": given, **fields}).json()


def answer_to(response: dict[str, Any]) -> list[dict[str, Any]]:
    call_id = response["output"][-1]["call_id"]
    return [{"type": "function_call_output", "call_id": call_id, "output": "42"}]


def said(response: dict[str, Any]) -> str:
    return response["output"][-1]["content"][0]["text"]


class TestAChain:
    def test_a_response_goes_on_from_the_one_it_names(self, client: httpx.Client):
        first = create(client)
        second = create(client, answer_to(first), previous_response_id=first["id"])
        third = create(client, "And now?", previous_response_id=second["id"])
        assert [said(second), said(third)] == ["It is 42.", "Second turn."]
        assert third["previous_response_id"] == second["id"]

    def test_it_is_the_whole_conversation_that_is_counted(self, client: httpx.Client):
        first = create(client)
        chained = create(client, answer_to(first), previous_response_id=first["id"])
        items = [{"role": "user", "content": "Hello"}, *first["output"], *answer_to(first)]
        assert create(client, items)["usage"] == chained["usage"]

    def test_two_answers_may_follow_one_response(self, client: httpx.Client):
        first = create(client)
        answers = [
            create(client, answer_to(first), previous_response_id=first["id"]) for _ in range(2)
        ]
        assert said(answers[0]) == said(answers[1])

    def test_conversations_at_one_place_of_the_script_have_ids_of_their_own(
        self, client: httpx.Client
    ):
        assert create(client, "Hello")["id"] != create(client, "Goodbye")["id"]

    @pytest.mark.parametrize("store", [True, False])
    def test_what_is_not_stored_is_not_found(self, client: httpx.Client, store: bool):
        name = create(client, f"store {store}", store=store)["id"]
        answer = client.post(
            "/responses", json={"model": "m", "input": "x", "previous_response_id": name}
        )
        error = answer.json().get("error")
        if store:
            assert error["param"] == "input"  # a call of that response has no output
            return
        assert answer.status_code == 400
        assert error["code"] == "previous_response_not_found"
        assert error["param"] == "previous_response_id"

    def test_the_oldest_response_is_forgotten(
        self, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(scripted_state, "MAX_KEPT", 2)
        names = [create(client, f"number {number}")["id"] for number in range(3)]
        statuses = [client.get(f"/responses/{name}").status_code for name in names]
        assert statuses == [404, 200, 200]


class TestAKeptResponse:
    def test_it_can_be_read_again(self, client: httpx.Client):
        first = create(client)
        assert client.get(f"/responses/{first['id']}").json() == first

    def test_a_deleted_one_is_gone(self, client: httpx.Client):
        path = f"/responses/{create(client, 'to be deleted')['id']}"
        assert client.delete(path).json()["deleted"] is True
        assert client.get(path).status_code == client.delete(path).status_code == 404

    def test_it_cannot_be_cancelled(self, client: httpx.Client):
        answer = client.post(f"/responses/{create(client)['id']}/cancel")
        assert answer.status_code == 400
        assert "background" in answer.json()["error"]["message"]

    def test_its_input_is_listed_in_pages(self, client: httpx.Client):
        items = [{"role": "user", "content": f"number {number}"} for number in range(5)]
        path = f"/responses/{create(client, items)['id']}/input_items"
        query: dict[str, Any] = {"limit": 2, "order": "asc"}
        texts: list[str] = []
        more = True
        while more:
            page = client.get(path, params=query).json()
            texts += [item["content"][0]["text"] for item in page["data"]]
            query["after"], more = page["last_id"], page["has_more"]
        assert texts == [f"number {number}" for number in range(5)]

    def test_the_list_is_what_the_official_sdk_reads(self, client: httpx.Client):
        responses = pytest.importorskip("openai.types.responses")
        first = create(client)
        second = create(client, answer_to(first), previous_response_id=first["id"])
        page = client.get(f"/responses/{second['id']}/input_items").json()
        responses.ResponseItemList.model_validate(page)
        kinds = [item["type"] for item in page["data"]]
        assert kinds == ["function_call_output", "function_call", "reasoning", "message"]

    @pytest.mark.parametrize(
        "query", [{"limit": "0"}, {"limit": "x"}, {"order": "up"}, {"after": "none"}]
    )
    def test_a_page_that_cannot_be_is_refused(self, client: httpx.Client, query: dict[str, str]):
        path = f"/responses/{create(client)['id']}/input_items"
        answer = client.get(path, params=query)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == next(iter(query))


class TestCompaction:
    def test_a_compacted_conversation_goes_on_where_it_was(self, client: httpx.Client):
        first = create(client)
        body = {"model": "m", "input": answer_to(first), "previous_response_id": first["id"]}
        compact = client.post("/responses/compact", json=body).json()
        assert [item["type"] for item in compact["output"]] == ["message", "compaction"]
        assert said(create(client, compact["output"])) == "It is 42."

    def test_turns_played_before_it_stay_played(self, client: httpx.Client):
        first = create(client)
        second = create(client, answer_to(first), previous_response_id=first["id"])
        body = {"model": "m", "previous_response_id": second["id"]}
        output = client.post("/responses/compact", json=body).json()["output"]
        third = create(client, [*output, {"role": "user", "content": "Next."}])
        assert said(third) == "Second turn."
        items = [*output, {"role": "user", "content": "Next."}, *third["output"]]
        again = client.post("/responses/compact", json={"model": "m", "input": items}).json()
        fourth = create(client, [*again["output"], {"role": "user", "content": "More."}])
        assert said(fourth) == "Third turn."

    def test_what_another_server_sealed_is_left_alone(self, client: httpx.Client):
        foreign = {"type": "compaction", "id": "cmp_1", "encrypted_content": "AAAA"}
        response = create(client, [foreign, {"role": "user", "content": "Hello"}])
        assert response["output"][-1]["type"] == "function_call"

    @pytest.mark.parametrize("place", [[-5, 0], [0, -9], [99, 0], [0, 99], [-1, -1]])
    @pytest.mark.parametrize("said", [[], [{"role": "user", "content": "Hello"}]])
    def test_a_place_that_no_script_has_is_refused(
        self, client: httpx.Client, place: list[int], said: list[dict[str, str]]
    ):
        sealed = base64.b64encode(json.dumps([place]).encode()).decode()
        item = {"type": "compaction", "id": "cmp_1", "encrypted_content": sealed}
        answer = client.post("/responses", json={"model": "m", "input": [item, *said]})
        assert answer.status_code in ((200, 400) if said else (400,))

    def test_it_is_strict_open_responses(self, client: httpx.Client):
        types = pytest.importorskip("openresponses_types.types")
        answer = client.post("/responses/compact", json={"model": "m", "input": "Hello"})
        types.CompactResource.model_validate_json(answer.content)

    def test_it_needs_a_model(self, client: httpx.Client):
        answer = client.post("/responses/compact", json={"input": "Hello"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


class TestOtherRoutes:
    def test_input_tokens_are_those_a_response_counts(self, client: httpx.Client):
        counted = client.post("/responses/input_tokens", json={"input": "Hello"}).json()
        assert counted["object"] == "response.input_tokens"
        assert counted["input_tokens"] == create(client)["usage"]["input_tokens"]

    def test_one_model_can_be_asked_for(self, client: httpx.Client):
        assert client.get("/models/m").json()["id"] == "m"
        assert client.get("/models/other").status_code == 404

    def test_a_zstd_body_is_read(self, client: httpx.Client):
        zstandard = pytest.importorskip("zstandard")
        body = zstandard.compress(b'{"model": "m", "input": "Hello"}')
        headers = {"content-encoding": "zstd"}
        answer = client.post("/responses", content=body, headers=headers)
        assert answer.json()["status"] == "completed"
        assert client.post("/responses", content=b"no", headers=headers).status_code == 400

    def test_other_encodings_are_not_read(self, client: httpx.Client):
        answer = client.post("/responses", content=b"x", headers={"content-encoding": "gzip"})
        assert answer.status_code == 415

    def test_a_request_that_generates_nothing_is_kept(self, client: httpx.Client):
        warm = create(client, "Hello", generate=False)
        assert (warm["status"], warm["output"]) == ("completed", [])
        first = create(client, [], previous_response_id=warm["id"])
        assert first["output"][-1]["type"] == "function_call"
