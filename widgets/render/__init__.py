"""From state to HTML, Markdown and text. Pure; knows no front end."""
