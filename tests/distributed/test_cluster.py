"""Starting and checking a cluster, without Ray; Ray is started by the tests of searches and of the service."""

from contextlib import nullcontext

import pytest
import ray
from ray._private import ray_constants, worker
from ray._private.runtime_env import uv_runtime_env_hook

from recbole_llmfashion.distributed import cluster as cluster_module
from recbole_llmfashion.distributed.cluster import cluster, use_current_environment, version_mismatch
from recbole_llmfashion.errors import UserError


def test_workers_use_the_current_interpreter_under_uv(monkeypatch):
    """Asserts Ray's default first, to notice a Ray version that changes it."""
    monkeypatch.setattr(ray_constants, "RAY_ENABLE_UV_RUN_RUNTIME_ENV", True)
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "1")
    monkeypatch.setattr(uv_runtime_env_hook, "_get_uv_run_cmdline", lambda: ["uv", "run", "pytest"])
    assert worker._maybe_modify_runtime_env(None, False)["py_executable"].startswith("uv run")
    use_current_environment()
    assert worker._maybe_modify_runtime_env(None, False) is None


UNREACHABLE = r"--address: no Ray cluster at '10\.0\.0\.9:6379' \(no such host\)"
VERSIONS = r"--address: the Ray cluster at '10\.0\.0\.9:6379' runs other versions \(Version mismatch: .*\); install"
NOT_STARTED = r"Ray failed to start \(The node timed out\); see session_latest/logs"


@pytest.mark.parametrize(
    ("address", "raised", "message"),
    [
        ("10.0.0.9:6379", ConnectionError("no such\nhost"), UNREACHABLE),
        ("10.0.0.9:6379", RuntimeError("Version mismatch: The cluster was started with:\n Python: 3.12.1"), VERSIONS),
        (None, Exception("The node\ntimed out"), NOT_STARTED),
    ],
)
def test_ray_that_fails_to_start(monkeypatch, address, raised, message):
    def fail(**options):
        assert options["address"] == (address or "local")
        raise raised

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(UserError, match=message), cluster(address):
        pass


NODE = "ab12cd34" + "0" * 48
HERE = {"python": "3.11.7", "recbole_llmfashion": "0.2.0", "torch": "2.15.0"}


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({}, ""),
        ({"python": "3.11.9"}, ""),
        ({"python": "3.12.7"}, "python 3.12.7 (here 3.11.7)"),
        (
            {"recbole_llmfashion": "0.1.0", "torch": "2.14.0"},
            "recbole_llmfashion 0.1.0 (here 0.2.0), torch 2.14.0 (here 2.15.0)",
        ),
    ],
)
def test_version_mismatch(there, expected):
    assert version_mismatch(HERE | there, HERE) == expected


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ((HERE, []), None),
        (
            (HERE | {"recbole_llmfashion": "0.1.0"}, []),
            r"ray_address: node 10\.0\.0\.8 \(ab12cd34\) runs recbole_llmfashion 0\.1",
        ),
        (
            (HERE, ["/saved"]),
            r"node 10\.0\.0\.8 \(ab12cd34\) does not see /saved; put it on a disk that all nodes share",
        ),
        (
            ModuleNotFoundError("No module named\n'recbole_llmfashion'"),
            r"cannot run recbole_llmfashion \(No module named 'rec",
        ),
    ],
)
def test_every_running_node_is_checked(monkeypatch, result, message):
    checked = []

    class RemoteFunction:
        def options(self, scheduling_strategy):
            checked.append(scheduling_strategy.node_id)
            return self

        def remote(self, folders):
            return result

    def get(value, timeout):
        if isinstance(value, Exception):
            raise value
        return value

    nodes = [
        {"Alive": True, "NodeID": NODE, "NodeManagerAddress": "10.0.0.8"},
        {"Alive": False, "NodeID": "gone"},
    ]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    monkeypatch.setattr(ray, "remote", lambda **given: lambda function: RemoteFunction())
    monkeypatch.setattr(ray, "get", get)
    monkeypatch.setattr(cluster_module, "versions", lambda: HERE)
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    expectation = nullcontext() if message is None else pytest.raises(UserError, match=message)
    with expectation as error, cluster("10.0.0.8:6379", option="ray_address"):
        pass
    assert error is None or "\n" not in str(error.value)
    assert checked == [NODE]
