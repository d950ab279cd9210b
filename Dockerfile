# The main job, installed as README.md says with pip. docs/install.md has the commands.
ARG PYTHON=3.12
FROM python:${PYTHON}-bookworm

# Wheels for a CPU alone, which are a third of the size. The wheels of PyPI bring CUDA; they take
# --build-arg TORCH_INDEX=https://pypi.org/simple
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV OMP_WAIT_POLICY=PASSIVE \
    PYTHONUNBUFFERED=1

RUN useradd --create-home --uid 1000 user
WORKDIR /work

# the libraries have a layer of their own, which a change of the code keeps
COPY requirements.txt ./
RUN pip install --no-cache-dir --extra-index-url "${TORCH_INDEX}" -r requirements.txt \
    && pip install --no-cache-dir --no-deps recbole==1.2.1

COPY --chown=user:user . .
RUN pip install --no-cache-dir --no-deps -e . \
    && mkdir -p saved results \
    && chown user:user /work saved results

USER user
CMD ["python", "run_recbole_llm.py", "--model=LLMFashionRec,CORE", "--dataset=footwear"]
