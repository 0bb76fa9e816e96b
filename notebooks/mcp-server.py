"""The MCP server of mcp.ipynb: the weather of Seattle by days, from `data/seattle-weather.csv`."""

import csv
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

DAYS = Path(__file__).with_name("data") / "seattle-weather.csv"
LOOKS = ToolAnnotations(read_only_hint=True)
server = MCPServer("weather", instructions="The weather of Seattle, day by day.")


def rows() -> dict[str, dict[str, str]]:
    """The rows of the file by their day, such as 2012-01-31."""
    with open(DAYS, newline="") as file:
        return {row["date"].replace("/", "-"): row for row in csv.DictReader(file)}


@server.tool(annotations=LOOKS)
def days(year: int) -> list[str]:
    """The days of a year that have weather, such as 2012-01-31."""
    return [day for day in rows() if day.startswith(f"{year}-")]


@server.tool(annotations=LOOKS)
def weather_of(day: str) -> dict[str, str | float]:
    """The weather of one day: its kind, the rain in mm, the warmest in °C."""
    row = rows()[day]
    rain, warmest = float(row["precipitation"]), float(row["temp_max"])
    return {"day": day, "kind": row["weather"], "rain": rain, "warmest": warmest}


if __name__ == "__main__":
    server.run("stdio")
