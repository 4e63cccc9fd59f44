"""What a folder of results keeps of the runs that wrote into it."""

from pathlib import Path

import pytest
from benchmarks.results import Part, Results
from benchmarks.rows import Row, Target

ORDER = ("create", "desk", "cost")
FIRST, LATER = "default form, commit 1111111", "default form, commit 2222222"


def part(of: str, value: float, missing: str | None = None) -> Part:
    """A part with one row."""
    return Part(of, [Row("", "leads", "1/s", [value], [1], target=Target(3, 6))], {"plot": [[1, value]]}, missing)


def figures(folder: Path) -> list[float]:
    """What the folder has, in the order of the table."""
    results = Results.read(folder, ORDER)
    return [value for row in results.rows(ORDER) for value in row.ours]


def test_a_part_is_there_as_soon_as_it_was_measured(tmp_path: Path) -> None:
    """Results are read back as they were kept, and the table has them, whether or not the run goes on."""
    Results.read(tmp_path, ORDER).keep("create", part(FIRST, 7))
    read = Results.read(tmp_path, ORDER)

    assert [(row.ours, row.peer, row.verdict) for row in read.rows(ORDER)] == [([7], [1], "goal met")]
    assert read.parts["create"].series == {"plot": [[1, 7]]}
    assert "| leads, 1/s | 7 |" in (tmp_path / "table.md").read_text()


def test_a_later_run_replaces_only_what_it_measures(tmp_path: Path) -> None:
    """Other parts stay, in the order of the table, and each says of which commit it is."""
    first = Results.read(tmp_path, ORDER)
    first.keep("desk", part(FIRST, 2))
    first.keep("cost", part(FIRST, 3))
    later = Results.read(tmp_path, ORDER)
    later.keep("create", part(LATER, 1))
    later.keep("cost", part(LATER, 4))

    assert figures(tmp_path) == [1, 2, 4]
    assert (tmp_path / "table.md").read_text().startswith(f"- create, cost: {LATER}\n- desk: {FIRST}\n")


def test_what_broke_does_not_replace_what_is_whole(tmp_path: Path) -> None:
    """The rows of a part that broke off are kept where there are no better ones, and replaced by whole ones."""
    results = Results.read(tmp_path, ORDER)
    results.keep("create", part(FIRST, 1))
    results.keep("create", part(LATER, 2, "the disk is full"))
    results.keep("desk", part(LATER, 3, "the disk is full"))
    broken = (tmp_path / "table.md").read_text()
    results.keep("desk", part(LATER, 4))

    assert broken.count("Not measured") == 1
    assert "- Not measured: desk: the disk is full" in broken
    assert figures(tmp_path) == [1, 4]


@pytest.mark.parametrize("text", ['{"rows": [], "series": {}}', "{", "[]"])
def test_results_that_cannot_be_read_are_not_overwritten(tmp_path: Path, text: str) -> None:
    """The program ends, and says which file is in its way."""
    (tmp_path / "results.json").write_text(text)

    with pytest.raises(SystemExit, match=r"results\.json is of another version"):
        Results.read(tmp_path, ORDER)
    assert (tmp_path / "results.json").read_text() == text
