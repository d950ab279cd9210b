"""Everything else stands in pyproject.toml; only the mapping of properties/ into the wheel needs code."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["recbole_llmfashion*"]), "recbole_llmfashion.properties"],
    package_dir={"recbole_llmfashion.properties": "properties"},
    package_data={"recbole_llmfashion.properties": ["*.yaml", "*/*.yaml", "*/*/*.yaml"]},
)
