"""docs/security.md says what is met, by which tests: those that are marked with its rows."""

from tests.security_page import NOT_MET, PAGE, marked, rewritten, rows


def test_the_tests_are_those_that_are_marked() -> None:
    """The last column is what the marks say; `make security-table` writes it."""
    assert PAGE.read_text() == rewritten()


def test_every_mark_is_of_a_row() -> None:
    """A mark that was mistyped, or whose row is gone, proves nothing."""
    assert marked().keys() <= rows().keys()


def test_what_is_met_has_a_test() -> None:
    """A row without a test says that it is not met, and one with a test does not."""
    for row, (*cells, tests) in rows().items():
        assert bool(tests) != any(cell.startswith(NOT_MET) for cell in cells), row


def test_no_attack_is_left_out() -> None:
    """They are numbered without a gap, so that none gets lost."""
    numbers = [int(row) for row in rows() if row.isdigit()]

    assert numbers == list(range(1, len(numbers) + 1))
