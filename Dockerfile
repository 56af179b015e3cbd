# One image for every service of ours: the project and exactly the packages of docker/requirements.lock.
FROM python:3.12-slim-bookworm AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
COPY docker/requirements.lock /requirements.lock
RUN pip install --no-deps --require-hashes -r /requirements.lock
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY forecasting ./forecasting
# Editable: what runs is /app, which the final image has at the same place. setuptools builds it and is not kept.
RUN pip install "setuptools>=77" && pip install --no-deps --no-build-isolation -e . && pip uninstall -y setuptools pip

FROM python:3.12-slim-bookworm
# LightGBM wants OpenMP.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --create-home forecasting \
    && mkdir -p /app/var /app/airflow /app/logs /app/scratch /app/objects \
    && chown forecasting:forecasting /app/var /app/airflow /app/logs /app/scratch /app/objects
WORKDIR /app
COPY --from=builder /venv /venv
COPY --from=builder /app ./
COPY docker ./docker
COPY dags ./dags
COPY conf ./conf
# Volumes take their owner from these folders; nothing here needs root, nor to be written to.
ARG COMMIT=
ENV PATH=/venv/bin:$PATH AIRFLOW_HOME=/app/airflow FORECASTING_COMMIT=$COMMIT \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=PASSIVE MPLCONFIGDIR=/tmp/matplotlib \
    GIT_PYTHON_REFRESH=quiet DO_NOT_TRACK=1 SCARF_ANALYTICS=false MLFLOW_DISABLE_TELEMETRY=true \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False
USER 1000:1000
