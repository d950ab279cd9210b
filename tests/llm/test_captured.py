"""CUDA graphs with a fake of PyTorch's: what runs when, and what a recording that fails says."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm import captured as captured_module
from recbole_llmfashion.llm.captured import Captured, graph_memory

CUDA = torch.device("cuda")


class Device:
    """Notes what is called on it; a recording runs nothing, and a replay adds one to what was recorded."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.place = torch.zeros(1)
        self.failure: Exception | None = None

    def function(self) -> torch.Tensor:
        self.events.append("run")
        if self.failure is not None:
            raise self.failure
        return self.place

    def note(self, event: str) -> Any:
        return lambda *_: self.events.append(event)

    def stream(self, *_: Any) -> Any:
        return type("Stream", (), {"wait_stream": self.note("wait")})()

    @contextmanager
    def graph(self, _graph: Any, pool: Any, stream: Any) -> Iterator[None]:
        self.events.append(f"record in {pool}")
        yield
        self.events.append("recorded")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    fake = Device()
    graph = type("Graph", (), {"replay": lambda _: fake.events.append("replay") or fake.place.add_(1)})
    names = {"Stream": fake.stream, "current_stream": fake.stream, "CUDAGraph": graph, "graph": fake.graph}
    for name, value in names.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.Tensor, "record_stream", fake.note("kept"))
    captured_module._stream.cache_clear()
    yield fake
    captured_module._stream.cache_clear()


def test_the_first_call_runs_the_second_records_and_later_ones_replay(device: Device) -> None:
    call = Captured(device.function, CUDA, "shared")
    assert [float(call()) for _ in range(4)] == [0, 1, 2, 3]
    recording = ["record in shared", "run", "recorded", "replay"]
    assert device.events == ["wait", "run", "wait", "kept", *recording, "replay", "replay"]


def test_all_recordings_of_a_device_are_on_one_stream(device: Device) -> None:
    assert captured_module._stream(CUDA) is captured_module._stream(torch.device("cuda"))


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (RuntimeError("not permitted when\nstream is capturing"), UserError, "not permitted when stream is capturing"),
        (torch.cuda.OutOfMemoryError("full"), torch.cuda.OutOfMemoryError, "full"),
    ],
)
def test_a_recording_that_fails(device: Device, failure: Exception, kind: type[Exception], words: str) -> None:
    call = Captured(device.function, CUDA)
    call()
    device.failure = failure
    with pytest.raises(kind, match=words):
        call()
    assert "replay" not in device.events


def test_on_a_cpu_each_call_runs() -> None:
    runs: list[torch.Tensor] = []

    def function() -> torch.Tensor:
        runs.append(torch.zeros(()))
        return runs[-1]

    call = Captured(function, torch.device("cpu"))
    assert [call() is runs[-1] for _ in range(3)] == [True] * 3 and len(runs) == 3
    assert graph_memory(torch.device("cpu")) is None
