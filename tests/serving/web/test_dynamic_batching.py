"""Which calls share a batch; cancelled calls and failing batches."""

import asyncio
import threading

import pytest

from recbole_llmfashion.serving.web.dynamic_batching import DynamicBatcher


class Worker:
    """Multiplies by ten once `go` is set; records its batches."""

    def __init__(self):
        self.batches, self.go = [], threading.Event()

    def __call__(self, requests):
        self.batches.append(list(requests))
        assert self.go.wait(20)
        return [10 * number for number in requests]


async def begun(worker, count=1):
    while len(worker.batches) < count:
        await asyncio.sleep(0.001)


def run(scenario, most=3):
    worker = Worker()
    return worker, asyncio.run(scenario(worker, DynamicBatcher(worker, most)))


def test_calls_during_a_batch_form_the_next_one():
    async def scenario(worker, batch):
        first = asyncio.create_task(batch(1))
        await begun(worker)
        others = [asyncio.create_task(batch(number)) for number in (2, 3, 4, 5)]
        await asyncio.sleep(0)
        worker.go.set()
        return [await call for call in (first, *others)]

    worker, answers = run(scenario)
    assert worker.batches == [[1], [2, 3, 4], [5]] and answers == [10, 20, 30, 40, 50]


def test_restarts_after_idle():
    async def scenario(worker, batch):
        worker.go.set()
        return [await batch(1), await batch(2)]

    worker, answers = run(scenario)
    assert worker.batches == [[1], [2]] and answers == [10, 20]


def test_cancelled_calls():
    async def scenario(worker, batch):
        late = asyncio.create_task(batch(1))
        await begun(worker)
        waiting = [asyncio.create_task(batch(number)) for number in (2, 3)]
        await asyncio.sleep(0)
        late.cancel()
        waiting[0].cancel()
        worker.go.set()
        return await waiting[1]

    worker, answer = run(scenario)
    assert worker.batches == [[1], [3]] and answer == 30


def test_a_failing_batch_does_not_affect_others():
    def answer(requests):
        if 1 in requests:
            raise ZeroDivisionError
        return requests if 2 in requests else []

    async def scenario():
        batch = DynamicBatcher(answer, 1)
        calls = [asyncio.create_task(batch(number)) for number in (1, 2, 3)]
        return await asyncio.gather(*calls, return_exceptions=True)

    failed, well, short = asyncio.run(scenario())
    assert isinstance(failed, ZeroDivisionError) and well == 2
    with pytest.raises(ValueError, match="shorter"):
        raise short
