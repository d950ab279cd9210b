"""benchmarks/shares.py: every part is a function of the package, and what a part calls is not its own time."""

from tests.helpers.scripts import load_script

shares = load_script("shares")


def functions():
    """What each part of the table names; an AttributeError where the package has moved it."""
    return [getattr(owner, name) for _, _, owner, name, _ in shares.PARTS]


def test_every_part_is_watched_and_left_as_it_was():
    before = functions()
    with shares.watched(shares.Clock()):
        assert all(now.__wrapped__ for now in functions())
    assert functions() == before


def test_seconds_without_those_of_inner_parts(monkeypatch):
    now, clock = [0.0], shares.Clock()
    monkeypatch.setattr(shares, "process_time", lambda: now[0])

    def spend(seconds):
        now[0] += seconds

    inner = clock.timed(1, lambda: spend(2))

    def outer():
        spend(1)
        inner()
        inner()
        spend(4)

    clock.timed(0, outer)()
    assert clock.seconds[:3] == [5, 4, 0]
