"""The Ray Serve application: `serve run recbole_llmfashion.serving.web.app:app run=DIR` (docs/serving.md).

    client -> proxy -> Web (FastAPI, limits, metrics) -> bounded queue -> Model (DynamicBatcher, ReplicaWorker)

Web and Model are separate deployments. If a Model replica dies, counters and queued requests survive: queued requests
go to the restarted replica, requests in progress get 503. A request is cancelled when its client disconnects or its
timeout expires; a cancelled request never reaches the LLM. Code that can be tested without Ray is in the other modules
of this folder.
"""

import asyncio
import os
from typing import Any

from ray import serve
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.config import BackpressureConfig
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from recbole_llmfashion.distributed.cluster import use_current_environment
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.serving.messages import BatchReply, ErrorReply, RecommendRequest
from recbole_llmfashion.serving.web.dynamic_batching import DynamicBatcher
from recbole_llmfashion.serving.web.errors import busy, unavailable
from recbole_llmfashion.serving.web.item_changes import Change, ItemChangeLog
from recbole_llmfashion.serving.web.limits import LimitsMiddleware
from recbole_llmfashion.serving.web.routes import make_web
from recbole_llmfashion.serving.web.settings import ServiceSettings, read_settings

MODEL = "Model"
SPARE = 32  # max_requests for /health, /metrics and rejected requests while the queue is full


class Replica:
    """One copy of the model, as a Ray Serve replica.

    Args:
        settings: settings of the service.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        # imported here because the web process and `serve run` import this module and need no torch
        from recbole_llmfashion.serving.recommender import Recommender
        from recbole_llmfashion.serving.web.replica import ReplicaWorker

        recommender = Recommender.load(settings.run)
        journal = (
            ItemChangeLog(settings.journal, recommender.run_digest) if settings.token and settings.journal else None
        )
        self._worker = ReplicaWorker(recommender, journal)
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


class RemoteModel:
    """The `Model` protocol of routes.py, implemented by a deployment handle.

    Args:
        handle: handle of the Model deployment.
        app_name: name of the Ray Serve application.
    """

    def __init__(self, handle: DeploymentHandle, app_name: str) -> None:
        self._handle, self._app_name = handle, app_name

    async def recommend(self, request: RecommendRequest) -> BatchReply:
        """Recommends for one session."""
        return await _result(self._handle.recommend.remote(request))

    async def change(self, change: Change) -> None:
        """Adds or removes items."""
        await _result(self._handle.change.remote(change))

    async def running(self) -> int:
        """Number of running replicas, from Serve's controller; a request to the Model would wait in its queue."""
        status = await asyncio.to_thread(serve.status)
        application = status.applications.get(self._app_name)
        states = application.deployments[MODEL].replica_states if application else {}
        return sum(count for state, count in states.items() if state == "RUNNING")


async def _result(response: Any) -> Any:
    """The result of a call through a handle.

    Raises:
        UserError: the replica returned an ErrorReply.
        RequestError: the queue is full (429), or the replica died (503).
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
    if isinstance(result, ErrorReply):
        raise UserError(result.message)
    return result


class Web:
    """The HTTP deployment; Ray Serve takes its ASGI application from `__serve_build_asgi_app__`."""

    def __init__(self, settings: ServiceSettings, model: DeploymentHandle) -> None:
        self._settings, self._model = settings, model

    def __serve_build_asgi_app__(self) -> LimitsMiddleware:
        return make_web(self._settings, RemoteModel(self._model, serve.get_replica_context().app_name))


def app(args: dict[str, str]) -> serve.Application:
    """Builds the application for `serve run`.

    Args:
        args: fields of ServiceSettings; missing ones are read from the environment.

    Raises:
        UserError: invalid settings, see `read_settings`.
    """
    settings = read_settings(args, os.environ)
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
    # Web accepts more requests than the Model, so that Web itself rejects the excess, as JSON, and counts it. In a
    # burst, requests also queue for Web until Serve has probed its queue length.
    max_requests = settings.ongoing * settings.replicas + settings.queue + SPARE
    web = serve.deployment(
        name="Web",
        max_ongoing_requests=max_requests,
        max_queued_requests=max_requests,
        backpressure_config=backpressure,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=5,
    )(serve.ingress()(Web))
    return web.bind(settings, model.bind(settings))
