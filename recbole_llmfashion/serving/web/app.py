"""The Ray Serve application: `serve run recbole_llmfashion.serving.web.app:app run=DIR` (docs/serving.md).

    client -> proxy -> Web (FastAPI, limits, counters) -> handle: the bounded queue
        -> Model: DynamicBatcher -> ReplicaWorker

Two deployments, so that a Model that dies takes no counter and no waiting request with it: those that wait go to the
copy that comes back, those it was answering get 503. A request is cancelled where its client leaves or its time is up,
and a cancelled one never reaches the LLM. This module holds nothing that can be tested without Ray; that is in
service/.
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
SPARE = 32  # requests for /health, /metrics and refusals while the queue is full


class Replica:
    """One copy of the model.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        # here alone: the web process and `serve run` import this module too, and need no torch
        from recbole_llmfashion.serving.recommender import Recommender
        from recbole_llmfashion.serving.web.replica import ReplicaWorker

        recommender = Recommender.load(settings.run)
        journal = (
            ItemChangeLog(settings.journal, recommender.run_digest) if settings.token and settings.journal else None
        )
        self._clerk = ReplicaWorker(recommender, journal)
        # not serve.batch: it closes a batch some time after its first request, however busy the model is
        self._gather: DynamicBatcher[RecommendRequest, BatchReply | ErrorReply] = DynamicBatcher(
            self._clerk.answer, settings.batch
        )

    async def ask(self, ask: RecommendRequest) -> BatchReply | ErrorReply:
        """A list."""
        return await self._gather(ask)

    async def change(self, change: Change) -> ErrorReply | None:
        """Items come or go."""
        return await asyncio.to_thread(self._clerk.change, change)


class Remote:
    """The Model of service/web.py, behind a handle.

    Args:
        handle: of the deployment.
        app_name: whose status tells what is up.
    """

    def __init__(self, handle: DeploymentHandle, app_name: str) -> None:
        self._handle, self._app_name = handle, app_name

    async def recommend(self, ask: RecommendRequest) -> BatchReply:
        """A list."""
        return await _result(self._handle.ask.remote(ask))

    async def change(self, change: Change) -> None:
        """Items come or go."""
        await _result(self._handle.change.remote(change))

    async def running(self) -> int:
        """By Serve's controller: a request to the Model would wait behind all others."""
        status = await asyncio.to_thread(serve.status)
        found = status.applications.get(self._app_name)
        states = found.deployments[MODEL].replica_states if found else {}
        return sum(count for state, count in states.items() if state == "RUNNING")


async def _result(response: Any) -> Any:
    """Of a call by a handle.

    Raises:
        UserError: a ErrorReply came back.
        Refused: the queue is full (429), or the copy is gone (503).
        RuntimeError: the Model failed.
    """
    try:
        result = await response
    except BackPressureError:
        raise busy() from None
    except (RayActorError, DeploymentUnavailableError):
        raise unavailable() from None
    except RayTaskError as error:  # is a UserError too where the Model raised one, with its traceback as text
        raise RuntimeError("the model failed") from error
    if isinstance(result, ErrorReply):
        raise UserError(result.text)
    return result


class Web:
    """The HTTP side; Ray Serve asks it for its ASGI application."""

    def __init__(self, settings: ServiceSettings, model: DeploymentHandle) -> None:
        self._settings, self._model = settings, model

    def __serve_build_asgi_app__(self) -> LimitsMiddleware:
        return make_web(self._settings, Remote(self._model, serve.get_replica_context().app_name))


def app(args: dict[str, str]) -> serve.Application:
    """What `serve run` builds.

    Args:
        args: fields of ServiceSettings; what is not there is read from the environment.

    Raises:
        UserError: see read_settings.
    """
    settings = read_settings(args, os.environ)
    use_current_environment()  # `serve run` asks for the application before it starts Ray
    refusing = BackpressureConfig(status_code=429, retry_after_s=1)
    model = serve.deployment(
        name=MODEL,
        num_replicas=settings.replicas,
        max_ongoing_requests=settings.ongoing,
        max_queued_requests=settings.queue,
        backpressure_config=refusing,
        ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
        health_check_period_s=2,
        graceful_shutdown_timeout_s=5,
    )(Replica)
    # Web takes more than the Model lets in, so that it is Web that refuses, in JSON, and counts it; in a burst requests
    # wait for Web too, each until it was asked whether it has room
    room = settings.ongoing * settings.replicas + settings.queue + SPARE
    web = serve.deployment(
        name="Web",
        max_ongoing_requests=room,
        max_queued_requests=room,
        backpressure_config=refusing,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=5,
    )(serve.ingress()(Web))
    return web.bind(settings, model.bind(settings))
