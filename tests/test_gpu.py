"""benchmarks/gpu.py at its toy size on a CPU: every part runs, and only its place in the page changes."""

import sys
from pathlib import Path

import pytest

from tests.helpers.scripts import load_script

gpu = load_script("gpu")
PAGE = f"# Title\n\n{gpu.BEGIN}\n\nnothing yet\n\n{gpu.END}\n\n## Next\n"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", *arguments])
    gpu.main()


@pytest.mark.slow
def test_all_parts_at_the_toy_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "gpu.md"
    page.write_text(PAGE)
    run(monkeypatch, "--tiny", "--page", str(page), "--commit", "abc1234")
    text = page.read_text()
    assert text.startswith(f"# Title\n\n{gpu.BEGIN}\n\n") and text.endswith(f"\n\n{gpu.END}\n\n## Next\n")
    assert "commit abc1234" in text and "torch " in text and "nothing yet" not in text
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    values = {name: rest for name, *rest in cells}
    for weights in ("nf4", "none"):
        apart = float(values[f"losses of 20 steps, largest difference from peft's, {weights}"][0])
        assert apart < 0.05 < 0.2 < float(values[f"the loss fell by, {weights}"][0])
    for way in gpu.WAYS:
        assert float(values[f"tiny-falcon's shape, NF4{way}: steps/s"][0].replace(",", "")) > 0
    assert len(values["tokens/s"]) == len(values["step, ms, products"]) == 2


def test_parts_that_begin_too_late_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run(monkeypatch, "--tiny", "--minutes", "-1")
    assert capsys.readouterr().out.count("left out, the time was over") == 3


def test_a_way_that_fails_has_its_message(monkeypatch: pytest.MonkeyPatch):
    """The modes of torch.compile are those of WAYS, and the parts behind a failure go on."""
    modes: list[tuple[str, str | None]] = []

    def rate(_device: object, _tiny: bool, key: str) -> float:
        modes.append((key, gpu.compiling.MODE))
        if gpu.compiling.MODE is not None:
            raise RuntimeError("no graph\nmore")
        return 2.0

    monkeypatch.setattr(gpu, "small_rate", rate)
    rows = gpu.small_rates(gpu.torch.device("cpu"), tiny=False)
    compiled = ("torch_compile", None)
    assert modes == [("", None), compiled, ("cuda_graphs", None), ("torch_compile", "reduce-overhead")]
    assert gpu.compiling.MODE is None and list(rows.values()) == [2.0, 2.0, 2.0, "failed: no graph"]
    assert gpu.lines(rows).endswith("| failed: no graph |")


def test_a_page_without_the_comments_is_refused(tmp_path: Path):
    page = tmp_path / "gpu.md"
    page.write_text("# Title\n")
    with pytest.raises(SystemExit, match=r"gpu\.md: expected the lines"):
        gpu.put(page, "text")
    assert page.read_text() == "# Title\n"
