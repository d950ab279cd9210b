"""Which calls share a batch, and what becomes of those that are cancelled or fail."""

import asyncio
import threading

import pytest

from recbole_llmfashion.serving.web.dynamic_batching import DynamicBatcher


class Worker:
    """Answers with ten times the number, when it is let go; remembers its batches."""

    def __init__(self):
        self.batches, self.go = [], threading.Event()

    def __call__(self, asked):
        self.batches.append(list(asked))
        assert self.go.wait(20)
        return [10 * number for number in asked]


async def begun(worker, count=1):
    while len(worker.batches) < count:
        await asyncio.sleep(0.001)


def run(scenario, most=3):
    worker = Worker()
    return worker, asyncio.run(scenario(worker, DynamicBatcher(worker, most)))


def test_who_comes_while_it_is_busy_goes_together_and_gets_his_own_answer():
    async def scenario(worker, gather):
        first = asyncio.create_task(gather(1))
        await begun(worker)
        others = [asyncio.create_task(gather(number)) for number in (2, 3, 4, 5)]
        await asyncio.sleep(0)
        worker.go.set()
        return [await call for call in (first, *others)]

    worker, answers = run(scenario)
    assert worker.batches == [[1], [2, 3, 4], [5]] and answers == [10, 20, 30, 40, 50]


def test_it_works_again_after_it_was_idle():
    async def scenario(worker, gather):
        worker.go.set()
        return [await gather(1), await gather(2)]

    worker, answers = run(scenario)
    assert worker.batches == [[1], [2]] and answers == [10, 20]


def test_a_cancelled_call_is_not_asked_and_one_cancelled_too_late_harms_nobody():
    async def scenario(worker, gather):
        late = asyncio.create_task(gather(1))
        await begun(worker)
        waiting = [asyncio.create_task(gather(number)) for number in (2, 3)]
        await asyncio.sleep(0)
        late.cancel()
        waiting[0].cancel()
        worker.go.set()
        return await waiting[1]

    worker, answer = run(scenario)
    assert worker.batches == [[1], [3]] and answer == 30


def test_a_batch_that_fails_fails_alone():
    def answer(asked):
        if 1 in asked:
            raise ZeroDivisionError
        return asked if 2 in asked else []

    async def scenario():
        gather = DynamicBatcher(answer, 1)
        calls = [asyncio.create_task(gather(number)) for number in (1, 2, 3)]
        return await asyncio.gather(*calls, return_exceptions=True)

    failed, well, short = asyncio.run(scenario())
    assert isinstance(failed, ZeroDivisionError) and well == 2
    with pytest.raises(ValueError, match="shorter"):
        raise short
