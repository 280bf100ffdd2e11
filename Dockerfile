# One image per process, each with only its extra of pyproject.toml, installed from the hashed lock:
#   docker build --target serving -t touchline-serving:0.1.0 .       (or orchestration, ui, mlflow)
FROM docker.io/library/python:3.11-slim-bookworm AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    GIT_PYTHON_REFRESH=quiet \
    NUMBA_CACHE_DIR=/tmp/numba \
    MPLCONFIGDIR=/tmp/matplotlib \
    OMP_NUM_THREADS=1 \
    DAGSTER_DISABLE_TELEMETRY=1 \
    DO_NOT_TRACK=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR=false \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    STREAMLIT_BROWSER_GATHER_USAGE_STATS=false
# With a name, because Celery reports a user without one as privileged.
RUN groupadd --gid 10001 touchline \
 && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin touchline
WORKDIR /app

FROM base AS build
COPY pyproject.toml requirements.lock ./
# uv, itself installed from the lock, verifies the hash of every wheel, including transitive dependencies of an extra.
RUN sed -n '/^uv==/,/^[^ ]*==/{/^uv==/p;/^ /p}' requirements.lock > /tmp/uv.txt \
 && python3 -m venv --without-pip /opt/venv \
 && python3 -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir --require-hashes -r /tmp/uv.txt
# Wheels only, so no compiler is needed. Packages' tests and C headers and unused parts of Arrow are removed (except for
# Evidently, whose `tests` folder is code). Each stage then verifies that the remaining packages import. Bytecode is
# compiled here because the root is read-only later, except in serving, to keep that image small.
ENV VIRTUAL_ENV=/opt/venv \
    UV_NO_CACHE=1 \
    UV_NO_BUILD=1

FROM build AS build-serving
RUN /opt/uv/bin/uv pip install --require-hashes -r pyproject.toml --extra serving -c requirements.lock \
 && find /opt/venv -depth -type d \( -name tests -o -name include \) -path '*/site-packages/*' -exec rm -rf {} + \
 && find /opt/venv -path '*/pyarrow/*' \( -name '*arrow*_flight*' -o -name '_flight*' \) -delete \
 && /opt/venv/bin/python -c "import aio_pika, celery.apps.worker, celery.concurrency.prefork, \
fastapi, httptools, mlflow.sklearn, msgspec, opentelemetry.sdk.trace, orjson, prometheus_client, pyarrow.parquet, rapidfuzz, \
redis.asyncio, skops.io, sklearn.linear_model, sklearn.calibration, structlog, uvicorn.protocols.http.httptools_impl"

FROM build AS build-orchestration
RUN UV_COMPILE_BYTECODE=1 /opt/uv/bin/uv pip install --require-hashes -r pyproject.toml --extra orchestration -c requirements.lock \
 && find /opt/venv -depth -type d \( -name tests -o -name include \) -path '*/site-packages/*' ! -path '*/evidently/*' -exec rm -rf {} + \
 && /opt/venv/bin/python -c "import boto3, dagster._cli, dagster_k8s, dagster_postgres, dagster_webserver.cli, evidently.presets, \
great_expectations.expectations, httpx, matplotlib.pyplot, mlflow.sklearn, numba, prometheus_client, psycopg2, \
pyarrow.parquet, rapidfuzz, skops.io, sklearn.calibration, sklearn.linear_model"

FROM build AS build-ui
RUN UV_COMPILE_BYTECODE=1 /opt/uv/bin/uv pip install --require-hashes -r pyproject.toml --extra ui -c requirements.lock \
 && find /opt/venv -depth -type d \( -name tests -o -name include \) -path '*/site-packages/*' -exec rm -rf {} + \
 && /opt/venv/bin/python -c "import altair, httpx, streamlit.web.bootstrap"

FROM build AS build-mlflow
RUN UV_COMPILE_BYTECODE=1 /opt/uv/bin/uv pip install --require-hashes -r pyproject.toml --extra mlflow -c requirements.lock \
 && find /opt/venv -depth -type d \( -name tests -o -name include \) -path '*/site-packages/*' -exec rm -rf {} + \
 && /opt/venv/bin/python -c "import boto3, mlflow.cli, mlflow.server.fastapi_app, psycopg2"

FROM base AS serving
COPY --from=build-serving /opt/venv /opt/venv
COPY features features
COPY monitoring monitoring
COPY serving serving
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="touchline-serving" \
      org.opencontainers.image.description="Touchline's REST API and its Celery workers" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
EXPOSE 8000 9808
# The worker uses the same image with the argument serving.worker.
ENTRYPOINT ["python", "-m"]
CMD ["serving.api"]

FROM base AS orchestration
COPY --from=build-orchestration /opt/venv /opt/venv
COPY features features
COPY monitoring monitoring
COPY orchestration orchestration
ARG VERSION=0.1.0
ARG REVISION=unknown
ENV DAGSTER_HOME=/opt/dagster/dagster_home
LABEL org.opencontainers.image.title="touchline-orchestration" \
      org.opencontainers.image.description="Touchline's pipeline: Dagster's webserver, daemon, code server and runs" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Training records the code revision. Without a git checkout it reads the installed version.
RUN mkdir -p /opt/dagster/dagster_home "touchline-${VERSION}.dist-info" \
 && touch /opt/dagster/dagster_home/dagster.yaml \
 && printf 'Metadata-Version: 2.1\nName: touchline\nVersion: %s+%s\n' "${VERSION}" "${REVISION}" \
      > "touchline-${VERSION}.dist-info/METADATA"
USER 10001:10001
EXPOSE 3000 3030
CMD ["dagster", "api", "grpc", "-h", "0.0.0.0", "-p", "3030", "-m", "orchestration.definitions"]

FROM base AS ui
COPY --from=build-ui /opt/venv /opt/venv
COPY ui ui
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="touchline-ui" \
      org.opencontainers.image.description="Touchline's match viewer" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
EXPOSE 8501
ENTRYPOINT ["python", "-m", "ui"]
CMD ["--server.address", "0.0.0.0", "--server.port", "8501", "--server.headless", "true"]

FROM base AS mlflow
COPY --from=build-mlflow /opt/venv /opt/venv
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="touchline-mlflow" \
      org.opencontainers.image.description="Tracking server and model registry of Touchline" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
EXPOSE 5000
ENTRYPOINT ["mlflow"]
CMD ["server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1"]
