"""Times that the calendar cannot use are refused by each command, with their place and what they probably are."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from recbole_llmfashion.cli.main import run
from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.data.atomic.times import likely_unit
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.session import make_session

INTER = "user_id:token\titem_id:token\taction:token\ttimestamp:float\n"
ITEM = "item_id:token\ttitle:token\tbrand:token\tcolor:token\tsize:token\tcategory:token"
SEARCH = "user_id:token\ttimestamp:float\tquery:token\tresults:token_seq\n"
LARGE = {  # text: what it probably is
    "1700000000000": "milliseconds (2023-11-14)",
    "1701000000123.5": "milliseconds (2023-11-26)",
    "1e11": "milliseconds (1973-03-03)",
    "253402300800": "milliseconds (1978-01-11)",  # the first second of the year 10000
    "1700000000000000": "microseconds (2023-11-14)",
    "1.7e18": "nanoseconds (2023-11-14)",
    "1e18": "nanoseconds (2001-09-09)",
    "1e30": "",
    "1e300": "",
}
NUMBERS = {**LARGE, "-1": "", "-1700000000": ""}
WORDS = ("nan", "NaN", "inf", "-inf", "Infinity", "1e400", "abc", "0x10", "1_000")
GOOD = ("0", "-0", "0.5", "1701000000.25", "4102444800", "99999999999", "1e10")
UNIT = {"milliseconds": ("ms", "1,000"), "microseconds": ("us", "1,000,000"), "nanoseconds": ("ns", "1,000,000,000")}


def write_folder(root: Path, time: str, place: str) -> Path:
    """A dataset with a time in the second line of `.inter`, `.search` or `.item`."""
    folder = root / "shop"
    folder.mkdir()
    first = time if place == "inter" else "5"
    (folder / "shop.inter").write_text(f"{INTER}u\ta\tclick\t{first}\nu\tb\tpurchase\t99999999999\n")
    (folder / "shop.search").write_text(f"{SEARCH}u\t{time if place == 'search' else '5'}\tboots\t\n")
    extra = f"{ITEM}\tavailable_from:float\na\tA\t\t\t\t\t{time}\nb\tB\t\t\t\t\t\n"
    plain = f"{ITEM}\na\tA\t\t\t\t\nb\tB\t\t\t\t\n"
    (folder / "shop.item").write_text(extra if place == "item" else plain)
    return folder


def write_tables(root: Path, time: str) -> tuple[str, ...]:
    other = "5" if time in WORDS else time  # a column without a number is read as dates
    (root / "events.csv").write_text(f"user,item,when,action\nu,a,{time},click\nu,b,{other},purchase\n")
    (root / "items.csv").write_text("item,title\na,A\nb,B\n")
    files = ("--interactions", str(root / "events.csv"), "--items", str(root / "items.csv"))
    return (*files, "--user=user", "--item=item", "--time=when", "--title=title", "--action=action")


def words_of(command: str, root: Path, time: str, place: str = "inter") -> tuple[list[str], str]:
    """The command line, and the file, line and column that it has to name."""
    out = ["--out", str(root / "out")]
    if command == "convert table":
        return ["convert", "table", *write_tables(root, time), *out], "events.csv, line 2, column when"
    folder = write_folder(root, time, place)
    column = "available_from" if place == "item" else "timestamp"
    found = f"shop.{place}, line 2, column {column}"
    if command == "convert recbole":
        if time not in LARGE:  # counted with other lines that cannot be used
            found = (
                "shop.inter: 1 of 2 lines are broken, more than --max-broken 0.01 allows: line 2 is the first: column "
            )
            found += column
        return ["convert", "recbole", str(folder), "--title=title", *out], found
    return [*command.split(), str(folder), *(out if command == "clean" else [])], found


def check_refused(command: str, root: Path, time: str, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, where = words_of(command, root, time, place)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert run(words) == 2
    output = capsys.readouterr()
    (line,) = [line for line in (output.err + output.out).splitlines() if where in line][:1] or [""]
    assert f"{where}: expected a number of seconds" in line and f"found '{time}'" in line
    if LARGE.get(time):
        unit, divisor = UNIT[LARGE[time].split()[0]]
        assert f"probably {LARGE[time]}" in line
        assert (f"--time-unit {unit}" if "convert" in command else f"divide the column by {divisor}") in line
    else:
        assert "probably" not in line
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("time", [*NUMBERS, *WORDS])
@pytest.mark.parametrize("command", ["validate", "clean", "convert table", "convert recbole"])
def test_times_that_are_refused(tmp_path: Path, command: str, time: str, capsys: pytest.CaptureFixture[str]) -> None:
    check_refused(command, tmp_path, time, "inter", capsys)


@pytest.mark.parametrize("time", [*NUMBERS, *WORDS])
@pytest.mark.parametrize("place", ["search", "item"])
def test_times_elsewhere(tmp_path: Path, place: str, time: str, capsys: pytest.CaptureFixture[str]) -> None:
    if place == "item" and time.startswith("-1"):  # an item may be older than 1970
        assert run(["validate", str(write_folder(tmp_path, time, place))]) == 0
    else:
        check_refused("validate", tmp_path, time, place, capsys)


@pytest.mark.parametrize("time", [*NUMBERS, *WORDS, ""])
@pytest.mark.parametrize("place", ["inter", "search"])
def test_times_that_are_not_loaded(tmp_path: Path, place: str, time: str) -> None:
    """A run reads its dataset with `read_folder`."""
    folder = write_folder(tmp_path, time, place)
    where = re.escape(f"shop.{place}, line 2, column timestamp: expected a number of seconds")
    with pytest.raises(UserError, match=f"{where}.*found '{re.escape(time)}'") as caught:
        read_folder(folder)
    assert "\n" not in str(caught.value)


def test_lines_without_a_time_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`convert recbole` leaves a line out, as every line that cannot be used, where --max-broken allows it."""
    folder = write_folder(tmp_path, "5", "inter")
    bad = [*WORDS, "-1", "-1700000000", ""]
    with (folder / "shop.inter").open("a") as inter:
        inter.writelines(f"u\ta\tclick\t{time}\n" for time in bad)
    assert (
        run(["convert", "recbole", str(folder), "--title=title", "--out", str(tmp_path / "out"), "--max-broken=1"]) == 0
    )
    reason = "column timestamp: expected a number of seconds since 1970, 0 or more and below 1e11, found 'nan'"
    assert f"shop.inter: {len(bad)} lines left out: {reason}" in capsys.readouterr().out
    assert len((tmp_path / "out/out.inter").read_text().splitlines()) == 3


@pytest.mark.parametrize("time", GOOD)
def test_times_that_are_accepted(tmp_path: Path, time: str, capsys: pytest.CaptureFixture[str]) -> None:
    for number, place in enumerate(("inter", "search", "item")):
        (tmp_path / str(number)).mkdir()
        run(["validate", str(write_folder(tmp_path / str(number), time, place))])
        assert "expected" not in capsys.readouterr().out.replace("expected a row", "")
    session = make_session([{"action": "search", "query": "x", "timestamp": float(time)}], {})
    assert session.now == float(time)


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
@pytest.mark.parametrize("command", ["convert table", "convert recbole"])
def test_time_unit(tmp_path: Path, command: str, unit: str, factor: int, capsys: pytest.CaptureFixture[str]) -> None:
    words, _ = words_of(command, tmp_path, str(1_700_000_000 * factor))
    if command == "convert recbole":  # every row is a purchase, and both rows have the unit
        inter = tmp_path / "shop" / "shop.inter"
        inter.write_text(inter.read_text().replace("99999999999", str(1_700_000_001 * factor)))
    assert run([*words, f"--time-unit={unit}"]) == 0
    lines = (tmp_path / "out" / "out.inter").read_text().splitlines()[1:]
    assert [line.split("\t")[3][:9] for line in lines] == ["170000000"] * 2
    assert "from 2023-11-14" in capsys.readouterr().out


def test_time_units_that_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, _ = words_of("convert table", tmp_path, "2023-11-14")
    assert run([*words, "--time-unit=ms"]) == 2
    assert "the times of events.csv are dates; leave the option out" in capsys.readouterr().err
    assert run([*words, "--time-unit=hours"]) == 2
    assert "--time-unit: expected one of s, ms, us, ns, found 'hours'" in capsys.readouterr().err


def _now(time: float) -> None:
    make_session([], {}, now=time)


def _action(time: float) -> None:
    make_session([{"action": "search", "query": "x", "timestamp": time}], {})


@pytest.mark.parametrize("ask", [_now, _action])
@pytest.mark.parametrize("time", [*NUMBERS, "nan", "inf", "-inf", "1e400"])
def test_sessions(ask: Callable[[float], None], time: str) -> None:
    for value in (float(time), *([int(time)] if re.fullmatch(r"-?\d+", time) else [])):
        with pytest.raises(UserError, match="expected seconds since 1970, 0 or more and below 1e11, found") as caught:
            ask(value)
        assert "\n" not in str(caught.value)
        assert (f"probably {NUMBERS.get(time)}" in str(caught.value)) == bool(NUMBERS.get(time))


def test_likely_units() -> None:
    found = [
        likely_unit(value) for value in (5.0, 99_999_999_999, 1e11, 1.7e15, 1.7e18, 1e19, float("inf"), float("nan"))
    ]
    assert found == [None, None, "ms", "us", "ns", None, None, None]
