"""The tables of docs/security.md: their last column is what marks on the tests say. `make security-table` writes it.

`@pytest.mark.asvs("V5.2.2")` marks a test that proves a row of the first table, `@pytest.mark.attack(84)` another.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.pages import ROOT

PAGE = ROOT / "docs" / "security.md"
MARKS = ("asvs", "attack")
ROW = re.compile(r"^\| (V[\d.-]+|\d+) \|.*\|$")
NOT_MET = "Not met"

Tests = dict[str, dict[Path, list[str]]]


def marked() -> Tests:
    """By row, the files and names of the tests that prove it. Tests are read, not run, nor even imported."""
    found: Tests = defaultdict(lambda: defaultdict(list))
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, decorator in _decorators(ast.parse(file.read_bytes()).body):
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in {f"pytest.mark.{m}" for m in MARKS}:
                for row in decorator.args:
                    found[str(ast.literal_eval(row))][file].append(name)
    return found


def _decorators(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _decorators(statement.body)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from ((statement.name, decorator) for decorator in statement.decorator_list)
        elif isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "pytestmark":
            marks = statement.value.elts if isinstance(statement.value, ast.List) else [statement.value]
            yield from (("", mark) for mark in marks)


def rows() -> dict[str, list[str]]:
    """The cells of each row of the page."""
    lines = filter(ROW.match, PAGE.read_text().splitlines())
    return {cells[0]: cells for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}


def rewritten() -> str:
    """The page as it has to be."""
    tests = marked()

    def line(text: str) -> str:
        if not ROW.match(text):
            return text
        *cells, _ = text.strip("|").split("|")
        return f"|{'|'.join(cells)}| {_shown(tests.get(cells[0].strip(), {}))} |"

    return "\n".join(map(line, PAGE.read_text().splitlines())) + "\n"


def _shown(tests: dict[Path, list[str]]) -> str:
    cells = []
    for file, names in tests.items():
        link = f"[{file.stem.removeprefix('test_')}](../{file.relative_to(ROOT)})"
        cells.append(" ".join([link, *(f"`{name}`" for name in names if name)]))
    return "; ".join(cells)


if __name__ == "__main__":
    PAGE.write_text(rewritten())
