"""How Ray is started; Ray itself is started by the tests of searches and of the service."""

import pytest
import ray
from ray._private import ray_constants, worker
from ray._private.runtime_env import uv_runtime_env_hook

from recbole_llmfashion.cluster import cluster, workers_like_here
from recbole_llmfashion.errors import UserError


def test_under_uv_the_workers_take_the_interpreter_that_runs_here(monkeypatch):
    """What Ray would do instead is asserted first, so that a Ray that does it no more is noticed."""
    monkeypatch.setattr(ray_constants, "RAY_ENABLE_UV_RUN_RUNTIME_ENV", True)
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "1")
    monkeypatch.setattr(uv_runtime_env_hook, "_get_uv_run_cmdline", lambda: ["uv", "run", "pytest"])
    assert worker._maybe_modify_runtime_env(None, False)["py_executable"].startswith("uv run")
    workers_like_here()
    assert worker._maybe_modify_runtime_env(None, False) is None


NOBODY = r"--address: no Ray cluster at '10\.0\.0\.9:6379' \(no such host\)"
NOT_HERE = r"Ray did not start here \(The node timed out\); its logs"


@pytest.mark.parametrize(
    ("address", "raised", "message"),
    [
        ("10.0.0.9:6379", ConnectionError("no such\nhost"), NOBODY),
        (None, Exception("The node\ntimed out"), NOT_HERE),
    ],
)
def test_a_ray_that_does_not_come_up_is_one_line(monkeypatch, address, raised, message):
    def refused(**options):
        assert options["address"] == (address or "local")
        raise raised

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(UserError, match=message), cluster(address):
        pass
