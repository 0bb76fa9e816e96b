"""Times inkernel's HTTP and WebSocket libraries alone, with one small request and no parsing.

No loop on top of them can cost less.
"""

import asyncio
import json
import sys

from .job import Job, job_from_argv

BODY = json.dumps({"type": "response.create", "stream": True, "input": "x" * 2048})


async def http(job: Job) -> None:
    """httpx, as a client that streams uses it."""
    import httpx

    async with httpx.AsyncClient(timeout=None, trust_env=False) as client:
        for _ in range(job.count):
            async with client.stream("POST", f"{job.url}/responses", content=BODY) as response:
                async for _ in response.aiter_bytes():
                    pass


async def websocket(job: Job) -> None:
    """websockets, a message at a time."""
    from websockets.asyncio.client import connect

    address = f"{job.url.replace('http', 'ws', 1)}/responses"
    async with connect(address, compression=None, max_queue=256, proxy=None) as connection:
        for _ in range(job.count):
            await connection.send(BODY)
            while b'"response.completed"' not in (await connection.recv(decode=False))[:40]:
                pass


def main() -> None:
    """Run the job on the command line."""
    job = job_from_argv()
    asyncio.run((http if job.transport == "http" else websocket)(job))
    json.dump({}, sys.stdout)


if __name__ == "__main__":
    main()
