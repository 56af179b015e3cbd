-- Roles and databases: made where they are missing, passwords set to those of .env, rights as they should be.
-- psql runs it before every start; twice = once. Each service owns its database and can open no other one.
\set ON_ERROR_STOP on
\getenv airflow AIRFLOW_DB_PASSWORD
\getenv mlflow MLFLOW_DB_PASSWORD
\getenv warehouse WAREHOUSE_DB_PASSWORD
\getenv shop SHOP_DB_PASSWORD
\getenv bi BI_DB_PASSWORD
-- A statement that fails would be written to the server's log, with the password in it.
SET log_min_error_statement = panic;
SET log_statement = none;
SET log_min_duration_statement = -1;

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['airflow', 'mlflow', 'warehouse', 'shop', 'bi']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE airflow PASSWORD :'airflow';
ALTER ROLE mlflow PASSWORD :'mlflow';
ALTER ROLE warehouse PASSWORD :'warehouse';
ALTER ROLE shop PASSWORD :'shop';
ALTER ROLE bi PASSWORD :'bi';

SELECT format('CREATE DATABASE %I', name)
FROM unnest(ARRAY['airflow', 'mlflow', 'warehouse', 'shop']) AS name
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', name, name)
FROM unnest(ARRAY['airflow', 'mlflow', 'warehouse', 'shop']) AS name \gexec
REVOKE ALL ON DATABASE airflow, mlflow, warehouse, shop, postgres, template1 FROM PUBLIC;

-- bi reads the output tables, those to come too, and nothing else.
GRANT CONNECT ON DATABASE warehouse TO bi;
ALTER ROLE bi SET default_transaction_read_only = on;
\connect warehouse
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO bi;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO bi;
ALTER DEFAULT PRIVILEGES FOR ROLE warehouse IN SCHEMA public GRANT SELECT ON TABLES TO bi;
