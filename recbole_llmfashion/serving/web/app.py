"""The Ray Serve application: `serve run recbole_llmfashion.serving.web.app:app run=DIR` (docs/serving.md).

    client -> proxy -> Web (FastAPI, limits, metrics) -> bounded queue -> Model (DynamicBatcher, ReplicaWorker)

Web and Model are separate deployments. If a Model replica fails, counters and queued requests survive: queued requests
go to the restarted replica, requests in progress get 503. A request is cancelled when its client disconnects or its
timeout expires; a cancelled request never reaches the LLM. Code that can be tested without Ray is in the other modules
of this folder.
"""

import asyncio
import os
from logging import getLogger
from typing import Any

from ray import serve
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.config import BackpressureConfig
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from recbole_llmfashion.distributed.cluster import use_current_environment
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import BatchReply, ErrorReply, RecommendRequest
from recbole_llmfashion.serving.web.dynamic_batching import DynamicBatcher
from recbole_llmfashion.serving.web.errors import busy, unavailable
from recbole_llmfashion.serving.web.item_changes import ItemChangeLog
from recbole_llmfashion.serving.web.journal import Change, JournalCheck, check_journal
from recbole_llmfashion.serving.web.limits import LimitsMiddleware
from recbole_llmfashion.serving.web.routes import make_web
from recbole_llmfashion.serving.web.settings import ServiceSettings, read_settings, run_digest

MODEL = "Model"
CONNECTIONS = 1024  # requests whose body is incomplete, of /health and /metrics, and rejected ones, beside the room


class Replica:
    """One copy of the model, as a Ray Serve replica.

    Args:
        settings: settings of the service.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        # imported here because the web process and `serve run` import this module and need no torch
        from recbole_llmfashion.serving.recommender import Recommender
        from recbole_llmfashion.serving.web.replica import ReplicaWorker

        recommender = Recommender.from_pretrained(settings.run, min_askers=settings.min_askers)
        journal = ItemChangeLog(settings.journal, recommender.run_digest) if settings.journal else None
        self._worker = ReplicaWorker(recommender, journal)
        self._following: asyncio.Task[ErrorReply | None] | None = None
        for line in (self._worker.started, recommender.memory_note):
            if line:
                getLogger("ray.serve").info(line)  # Serve prints its own log only
        # serve.batch would close a batch a fixed time after its first request, even while the model is busy
        self._batcher: DynamicBatcher[RecommendRequest, BatchReply | ErrorReply] = DynamicBatcher(
            self._worker.recommend, settings.batch
        )

    async def recommend(self, request: RecommendRequest) -> BatchReply | ErrorReply:
        """Recommends for one session, batched with concurrent requests."""
        return await self._batcher(request)

    async def change(self, change: Change) -> ErrorReply | None:
        """Adds or removes items."""
        return await asyncio.to_thread(self._worker.change, change)

    async def check_health(self) -> None:
        """Serve calls this every few seconds, and replaces a replica for which it fails a few times in a row.

        It fails if this replica could not make a change that its journal has: the one that replaces it replays all
        changes. While the journal itself cannot be read, a restart would not help.
        """
        if self._worker.broken:
            raise RuntimeError("a change of the items could not be made on this replica")
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(asyncio.to_thread(self._worker.follow))


class RemoteModel:
    """The `Model` protocol of routes.py, implemented by a deployment handle.

    Args:
        handle: handle of the Model deployment.
        app_name: name of the Ray Serve application.
        settings: settings of the service.
    """

    def __init__(self, handle: DeploymentHandle, app_name: str, settings: ServiceSettings) -> None:
        self._handle, self._app_name = handle, app_name
        self._journal = JournalCheck(settings.journal, run_digest(settings.run)) if settings.journal else None

    async def recommend(self, request: RecommendRequest) -> BatchReply:
        """Recommends for one session."""
        return await _result(self._handle.recommend.remote(request))

    async def change(self, change: Change) -> None:
        """Adds or removes items."""
        await _result(self._handle.change.remote(change))

    async def running(self) -> int:
        """Number of running replicas, from Serve's controller; a request to the Model would wait in its queue."""
        try:
            status = await asyncio.to_thread(serve.status)
        except RayError:
            raise unavailable("the state of the service cannot be read") from None
        application = status.applications.get(self._app_name)
        states = application.deployments[MODEL].replica_states if application else {}
        return sum(count for state, count in states.items() if state == "RUNNING")

    async def trouble(self) -> str | None:
        """What is wrong with the journal, which all replicas read; a replica itself might be busy."""
        return await asyncio.to_thread(self._journal.trouble) if self._journal is not None else None


async def _result(response: Any) -> Any:
    """The result of a call through a handle.

    Raises:
        UserError: the replica returned an ErrorReply.
        RequestError: the queue is full (429), or the replica died or cannot follow the journal (503).
        RuntimeError: the Model failed.
    """
    try:
        result = await response
    except BackPressureError:
        raise busy() from None
    except (RayActorError, DeploymentUnavailableError):
        raise unavailable() from None
    except RayTaskError as error:  # also an instance of UserError if the Model raised one, but its text is a traceback
        raise RuntimeError("the model failed") from error
    if isinstance(result, ErrorReply) and result.unavailable:
        raise unavailable(result.message)
    if isinstance(result, ErrorReply):
        raise UserError(result.message)
    return result


class Web:
    """The HTTP deployment; Ray Serve takes its ASGI application from `__serve_build_asgi_app__`."""

    def __init__(self, settings: ServiceSettings, model: DeploymentHandle) -> None:
        self._settings, self._model = settings, model

    def __serve_build_asgi_app__(self) -> LimitsMiddleware:
        return make_web(self._settings, RemoteModel(self._model, serve.get_replica_context().app_name, self._settings))


def app(args: dict[str, str]) -> serve.Application:
    """Builds the application for `serve run`.

    Args:
        args: fields of ServiceSettings; missing ones are read from the environment.

    Raises:
        UserError: invalid settings, see `read_settings`, or a journal that cannot be used.
    """
    settings = read_settings(args, os.environ)
    if settings.journal:
        check_journal(settings.journal, run_digest(settings.run))
    use_current_environment()  # `serve run` builds the application before it starts Ray
    backpressure = BackpressureConfig(status_code=429, retry_after_s=1)
    model = serve.deployment(
        name=MODEL,
        num_replicas=settings.replicas,
        max_ongoing_requests=settings.ongoing,
        max_queued_requests=settings.queue,
        backpressure_config=backpressure,
        ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
        health_check_period_s=2,
        graceful_shutdown_timeout_s=5,
    )(Replica)
    # Web accepts more requests than the Model, so that Web itself rejects the excess, as JSON, and counts it, and that
    # clients that send half a body keep no place from others (limits.py). In a burst, requests also queue for Web until
    # Serve has probed its queue length.
    max_requests = settings.room + CONNECTIONS
    web = serve.deployment(
        name="Web",
        max_ongoing_requests=max_requests,
        max_queued_requests=max_requests,
        backpressure_config=backpressure,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=5,
    )(serve.ingress()(Web))
    return web.bind(settings, model.bind(settings))
