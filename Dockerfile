# One image for every service of docker-compose.yml: the project and exactly the packages of the lock.
FROM python:3.12-slim-bookworm

# LightGBM wants OpenMP; git names the version of the code in the runs table.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git libgomp1 \
    && rm -rf /var/lib/apt/lists/*

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 OMP_WAIT_POLICY=PASSIVE
WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY forecasting ./forecasting
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
COPY dags ./dags
COPY conf ./conf

# Nothing in here needs root; the volumes take their owner from these folders.
RUN useradd --uid 1000 --create-home forecasting \
    && mkdir -p /app/var /app/airflow \
    && chown -R forecasting /app/var /app/airflow
USER forecasting
ENV AIRFLOW_HOME=/app/airflow
