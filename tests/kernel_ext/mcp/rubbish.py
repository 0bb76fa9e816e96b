"""An MCP server by hand, whose answers are not those of the protocol."""

import json
import sys

TOOL = {"name": "odd", "inputSchema": {"type": "object"}}
RESULTS = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "rubbish", "version": "1"},
    },
    "tools/list": {"tools": [TOOL]},
    "tools/call": {"content": "no list"},
}

for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        found = RESULTS.get(asked["method"])
        answer = {"result": found} if found else {"error": {"code": -32601, "message": "no"}}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)
