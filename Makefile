# What a contributor types. Every command runs in the environment that `uv run` makes.
.PHONY: lint test slow docs ci results

lint:  ## style, format and types
	uv run ruff check .
	uv run ruff format --check .
	uv run mypy

test:  ## the fast tests, in two processes
	uv run pytest

slow:  ## the tests that take minutes: in two processes, then those that need the machine for themselves
	uv run pytest -m "slow and not alone"
	uv run pytest -m "slow and alone" -n 0

docs:  ## the site, into build/site
	uv run --group docs mkdocs build --strict

results:  ## the pages of docs/results that are not of today's engine; hours
	uv run python benchmarks/results.py

ci:  ## everything that CI runs
	bash .ci/run
