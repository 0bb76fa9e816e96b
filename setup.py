"""Finds the rooms, so that a new one needs no line here. All else: pyproject.toml."""

from setuptools import find_namespace_packages, setup

FOLDERS = ("agent", "kernel_ext", "widgets")
inside = [f"{folder}.*" for folder in FOLDERS]
found = find_namespace_packages(include=[*FOLDERS, *inside], exclude=["*.__pycache__"])
rooms = [*(name for name in found if name != "kernel_ext.inkernel"), "notebooks"]
setup(
    packages=["inkernel", *(f"inkernel.{name}" for name in rooms)],
    package_dir={"inkernel": "kernel_ext/inkernel"}
    | {f"inkernel.{folder}": folder for folder in (*FOLDERS, "notebooks")},
)
