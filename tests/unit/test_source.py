"""What the source of the service does not do, whatever comes in."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from time import thread_time

import pytest
from tests.pages import ROOT

import leadintake

SOURCE = {path: ast.parse(path.read_bytes()) for path in sorted((ROOT / "src").rglob("*.py"))}
DANGEROUS = {"subprocess", "pickle", "marshal", "shelve", "dill", "yaml", "tarfile", "xml.etree", "xml.dom", "xml.sax"}
RUN = {"eval", "exec", "system", "popen", "execv", "spawnv", "extract", "extractall"}
OFF_LINE = {"copying.py", "checkup.py", "snapshot.py", "migrate.py", "sqlite_connections.py", "postgres.py", "bell.py"}
"""Modules whose statements name tables and settings of ours; no request says anything in them."""

HOSTILE = [
    (unit * 4_000)[:4_000]
    for unit in ("a", "0", " ", "-", ".", "\\", '"', "<", "é", "a.", "a@", "=?", "\r\n", "<a ", ";x=")
]
"""As long as any text that a pattern is given; for what files do to patterns see test_documents.py."""


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """The calls of a module, by the last name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2], node


def modules(tree: ast.Module) -> set[str]:
    """The modules that a module imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.asvs("V1.2.5", "V1.5.2")
def test_nothing_dangerous_is_imported() -> None:
    """No programs are started, no objects unpickled, no archives extracted, no XML read with entities."""
    for path, tree in SOURCE.items():
        for name in modules(tree):
            assert not any(name == bad or name.startswith(f"{bad}.") for bad in DANGEROUS), f"{path}: {name}"
        for name, call in calls(tree):
            assert name not in RUN, f"{path}: {ast.unparse(call)}"


@pytest.mark.asvs("V1.2.4")
def test_statements_are_written_out() -> None:
    """No statement that a request leads to is put together out of text."""
    for path, tree in SOURCE.items():
        if path.name in OFF_LINE:
            continue
        for name, call in calls(tree):
            if name in {"text", "exec_driver_sql", "execute", "literal_column"}:
                assert not any(isinstance(part, ast.JoinedStr | ast.BinOp) for part in call.args), ast.unparse(call)


@pytest.mark.asvs("V1.3.10")
def test_formats_are_written_out() -> None:
    """What is formatted stands in the source, so that no input can reach for attributes."""
    found = 0
    for tree in SOURCE.values():
        for name, call in calls(tree):
            if name in {"format", "format_map"} and isinstance(call.func, ast.Attribute):
                what = call.func.value
                what = what.args[0] if ast.unparse(what).startswith("Markup(") and isinstance(what, ast.Call) else what
                is_constant = isinstance(what, ast.Constant) or ast.unparse(what).rpartition(".")[2].isupper()
                assert is_constant or ast.unparse(what) == "msgspec.json", ast.unparse(call)
                found += 1

    assert found


def patterns() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    """Every pattern of the service, by where it stands."""
    found: dict[str, re.Pattern[str] | re.Pattern[bytes]] = {}
    for info in pkgutil.walk_packages(leadintake.__path__, "leadintake."):
        if not info.name.endswith("__main__"):
            values = vars(importlib.import_module(info.name)).items()
            found |= {f"{info.name}.{name}": value for name, value in values if isinstance(value, re.Pattern)}
    return found


@pytest.mark.asvs("V1.3.12")
def test_patterns_are_quick() -> None:
    """Four thousand characters of whatever may bother a pattern take a moment, matched or searched for."""
    found = patterns()
    for name, pattern in found.items():
        for text in HOSTILE:
            start = thread_time()
            for way in (pattern.fullmatch, pattern.search):
                way(text.encode() if isinstance(pattern.pattern, bytes) else text)  # type: ignore[arg-type] # told by it
            assert thread_time() - start < 0.05, f"{name}: {text[:4]!r}"

    assert len(found) > 20
