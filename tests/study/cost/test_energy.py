"""RAPL counters in a folder that the test writes."""

from recbole_llmfashion.study.cost.energy import Meter, joules_between, read_counters


def counter(root, name, energy, most=1_000):
    zone = root / name
    zone.mkdir(exist_ok=True)
    (zone / "energy_uj").write_text(f"{energy}\n")
    (zone / "max_energy_range_uj").write_text(f"{most}\n")
    return zone


def test_packages_are_added_and_a_counter_that_ran_over_is_mended(tmp_path):
    first, second = counter(tmp_path, "intel-rapl:0", 100), counter(tmp_path, "intel-rapl:1", 900)
    counter(tmp_path, "intel-rapl:0:0", 50)  # the cores, which package 0 counts
    before = read_counters(tmp_path)
    assert before == {first: 100, second: 900}
    counter(tmp_path, "intel-rapl:0", 400)
    counter(tmp_path, "intel-rapl:1", 200)
    assert joules_between(before, read_counters(tmp_path)) == (300 + 300) / 1e6


def test_without_a_counter_that_can_be_read(tmp_path):
    assert read_counters(tmp_path) == {} and joules_between({}, {}) is None
    zone = counter(tmp_path, "intel-rapl:0", 100)
    with Meter(tmp_path) as meter:
        sum(range(10_000))
    assert meter.joules == 0 and meter.seconds > 0 and meter.processor_seconds >= 0
    (zone / "energy_uj").unlink()
    assert read_counters(tmp_path) == {}
