"""Where results are kept: the lake, the warehouse, the registry."""

import os

# MLflow reads these when it is imported. It calls nobody but its own store, prints no addresses into our output, and an
# absent server is an error within half a minute, not within five.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
