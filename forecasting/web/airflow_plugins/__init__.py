"""A folder for AIRFLOW__CORE__PLUGINS_FOLDER."""
