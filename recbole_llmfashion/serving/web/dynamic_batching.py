"""Dynamic batching: calls that arrive while a batch is processed form the next batch.

No call is delayed to fill a batch: if the worker is idle, a call is processed at once, alone. Batches grow with the
load.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")


class DynamicBatcher(Generic[RequestT, ReplyT]):
    """Groups concurrent calls into batches. All calls must come from the same event loop.

    Args:
        process: maps a batch to its replies, in order; runs in a thread, one batch at a time.
        max_batch_size: maximum number of calls in a batch.
    """

    def __init__(self, process: Callable[[Sequence[RequestT]], Sequence[ReplyT]], max_batch_size: int) -> None:
        self._process, self._max_batch_size = process, max_batch_size
        self._waiting: deque[tuple[RequestT, asyncio.Future[ReplyT]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, request: RequestT) -> ReplyT:
        """The reply to one call. A call that is cancelled while it waits is not processed.

        Raises:
            Exception: whatever `process` raised for this batch; other batches are not affected.
        """
        reply: asyncio.Future[ReplyT] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, reply))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._process_batches())
        return await reply

    async def _process_batches(self) -> None:
        while batch := self._next_batch():
            try:
                replies = await asyncio.to_thread(self._process, [request for request, _ in batch])
                pairs = list(zip(batch, replies, strict=True))
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), reply in pairs:
                if not future.done():
                    future.set_result(reply)

    def _next_batch(self) -> list[tuple[RequestT, asyncio.Future[ReplyT]]]:
        """The oldest waiting calls that were not cancelled."""
        batch: list[tuple[RequestT, asyncio.Future[ReplyT]]] = []
        while self._waiting and len(batch) < self._max_batch_size:
            request, future = self._waiting.popleft()
            if not future.done():
                batch.append((request, future))
        return batch
