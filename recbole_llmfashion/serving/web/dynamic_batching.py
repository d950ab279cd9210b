"""Calls that come one by one, answered in batches: what comes in while a batch is answered makes up the next one.

Nobody waits for company: a call that finds the worker idle is answered at once, alone, and the busier it is the fuller
are the batches. Knows no Ray, no model and not what is asked.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class DynamicBatcher(Generic[Asked, Answered]):
    """See the module. Of one event loop.

    Args:
        answer: a batch to its answers in order; called in a thread, one batch at a time.
        most: calls of a batch.
    """

    def __init__(self, answer: Callable[[Sequence[Asked]], Sequence[Answered]], most: int) -> None:
        self._answer, self._most = answer, most
        self._waiting: deque[tuple[Asked, asyncio.Future[Answered]]] = deque()
        self._work: asyncio.Task[None] | None = None

    async def __call__(self, asked: Asked) -> Answered:
        """The answer to one call; a call that is cancelled while it waits is never asked.

        Raises:
            Exception: what `answer` raised; the other batches are answered.
        """
        answered: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answered))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._go_on())
        return await answered

    async def _go_on(self) -> None:
        while batch := self._next():
            try:
                answers = await asyncio.to_thread(self._answer, [asked for asked, _ in batch])
                made = list(zip(batch, answers, strict=True))
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in made:
                if not future.done():
                    future.set_result(answer)

    def _next(self) -> list[tuple[Asked, asyncio.Future[Answered]]]:
        """The first that still want an answer."""
        batch: list[tuple[Asked, asyncio.Future[Answered]]] = []
        while self._waiting and len(batch) < self._most:
            asked, future = self._waiting.popleft()
            if not future.done():
                batch.append((asked, future))
        return batch
