#!/bin/sh
# Run once by the postgres image on an empty volume: one database for each service that keeps its state there.
set -eu
for database in airflow mlflow warehouse shop; do
    psql --username "$POSTGRES_USER" --command "CREATE DATABASE $database"
done
