"""Everything else stands in pyproject.toml; only what the wheel holds beside modules needs code."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["recbole_llmfashion*"]), "recbole_llmfashion.properties"],
    package_dir={"recbole_llmfashion.properties": "properties"},
    package_data={
        "recbole_llmfashion": ["py.typed"],
        "recbole_llmfashion.properties": ["*.yaml", "*/*.yaml", "*/*/*.yaml"],
        "recbole_llmfashion.study.report": ["*.j2"],
        "recbole_llmfashion.serving.demo": ["*.j2", "*.css"],
        "recbole_llmfashion.llm.modeling": ["tiny_falcon/*"],
    },
)
