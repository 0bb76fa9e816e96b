"""The peers: a loop on the `openai` SDK, as its guides write it, and `openai-agents`.

Runs in an environment of its own: `requirements.txt`. The works `sdk` and `agents` run a turn.
`create` and `helper` read one response through the SDK.
"""

import asyncio
import json
import sys
import time
from typing import Any

from .canned import TOOL
from .job import OUTPUT, SAID, Job, job_from_argv

INSTRUCTIONS = "Do what is said."
FIELDS = ("title", "code")
SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in FIELDS},
    "required": FIELDS,
}


def sdk(job: Job) -> dict[str, Any]:
    """Run the loop with an input list that grows, and is sent in full each time."""
    from openai import OpenAI

    client = OpenAI(base_url=job.url, api_key="none")
    tool: Any = {"type": "function", "name": TOOL, "parameters": SCHEMA, "strict": False}
    items: list[Any] = [{"role": "user", "content": SAID}]
    calls = 0
    while True:
        stream = client.responses.create(
            model="canned", instructions=INSTRUCTIONS, tools=[tool], input=items, stream=True
        )
        called: list[Any] = []
        for event in stream:
            if event.type == "response.output_item.done":
                items.append(event.item)
                if event.item.type == "function_call":
                    called.append(event.item)
        for call in called:
            json.loads(call.arguments)
            answer = {"type": "function_call_output", "call_id": call.call_id, "output": OUTPUT}
            items.append(answer)
        if not called:
            return {"calls": calls}
        calls += len(called)


async def agents(job: Job) -> dict[str, Any]:
    """Run one agent with one tool, streamed, without tracing."""
    from agents import Agent, Runner, function_tool, set_default_openai_client, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)
    set_default_openai_client(AsyncOpenAI(base_url=job.url, api_key="none"), use_for_tracing=False)
    calls = 0

    @function_tool(name_override=TOOL)
    def run_cell(title: str, code: str) -> str:
        """Run code."""
        nonlocal calls
        calls += 1
        return OUTPUT

    agent = Agent(name="bench", instructions=INSTRUCTIONS, model="canned", tools=[run_cell])
    result = Runner.run_streamed(agent, SAID, max_turns=job.count + 1)
    async for _ in result.stream_events():
        pass
    return {"calls": calls}


def create(job: Job) -> dict[str, Any]:
    """Time `responses.create(stream=True)`: typed events, not gathered. It is the second of two."""
    from openai import OpenAI

    client, took = OpenAI(base_url=job.url, api_key="none"), 0.0
    for _ in range(2):
        started = time.perf_counter()
        for _event in client.responses.create(model="canned", input=SAID, stream=True):
            pass
        took = time.perf_counter() - started
    return {"seconds": took}


def helper(job: Job) -> dict[str, Any]:
    """Time `responses.stream()`: typed events, gathered to a response. It is the second of two."""
    from openai import OpenAI

    client, took = OpenAI(base_url=job.url, api_key="none"), 0.0
    for _ in range(2):
        started = time.perf_counter()
        with client.responses.stream(model="canned", input=SAID) as stream:
            for _event in stream:
                pass
        took = time.perf_counter() - started
    return {"seconds": took}


def main() -> None:
    """Run the job on the command line."""
    job = job_from_argv()
    if job.work == "agents":
        done = asyncio.run(agents(job))
    else:
        done = {"sdk": sdk, "create": create, "helper": helper}[job.work](job)
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main()
