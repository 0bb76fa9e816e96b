"""A display in words: of HTML, SVG and plots the parts that a model can use. Knows no library."""
