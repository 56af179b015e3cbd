CREATE SCHEMA released;
CREATE TABLE released.backtests (
    cutoff date NOT NULL,
    model text NOT NULL,
    fold date NOT NULL,
    level text NOT NULL,
    metric text NOT NULL,
    value double precision,
    weight double precision NOT NULL,
    champion boolean NOT NULL,
    model_version text NOT NULL,
    snapshot text NOT NULL,
    run_id text NOT NULL
);
CREATE TABLE released.forecast_levels (
    cutoff date NOT NULL,
    level text NOT NULL,
    name text NOT NULL,
    ds date NOT NULL,
    horizon bigint NOT NULL,
    mean double precision NOT NULL,
    p05 double precision NOT NULL,
    p10 double precision NOT NULL,
    p25 double precision NOT NULL,
    p50 double precision NOT NULL,
    p75 double precision NOT NULL,
    p90 double precision NOT NULL,
    p95 double precision NOT NULL,
    model text NOT NULL,
    model_version text NOT NULL,
    snapshot text NOT NULL,
    run_id text NOT NULL
);
CREATE TABLE released.forecast_sums (
    cutoff date NOT NULL,
    level text NOT NULL,
    name text NOT NULL,
    periods bigint NOT NULL,
    mean double precision NOT NULL,
    p05 double precision NOT NULL,
    p10 double precision NOT NULL,
    p25 double precision NOT NULL,
    p50 double precision NOT NULL,
    p75 double precision NOT NULL,
    p90 double precision NOT NULL,
    p95 double precision NOT NULL,
    model text NOT NULL,
    model_version text NOT NULL,
    snapshot text NOT NULL,
    run_id text NOT NULL
);
CREATE TABLE released.forecasts (
    cutoff date NOT NULL,
    unique_id text NOT NULL,
    ds date NOT NULL,
    horizon bigint NOT NULL,
    mean double precision NOT NULL,
    p05 double precision NOT NULL,
    p10 double precision NOT NULL,
    p25 double precision NOT NULL,
    p50 double precision NOT NULL,
    p75 double precision NOT NULL,
    p90 double precision NOT NULL,
    p95 double precision NOT NULL,
    model text NOT NULL,
    model_version text NOT NULL,
    snapshot text NOT NULL,
    run_id text NOT NULL,
    status text NOT NULL,
    reason text
);
CREATE VIEW released.forecasts_latest AS
 SELECT forecasts.cutoff,
    forecasts.unique_id,
    forecasts.ds,
    forecasts.horizon,
    forecasts.mean,
    forecasts.p05,
    forecasts.p10,
    forecasts.p25,
    forecasts.p50,
    forecasts.p75,
    forecasts.p90,
    forecasts.p95,
    forecasts.model,
    forecasts.model_version,
    forecasts.snapshot,
    forecasts.run_id,
    forecasts.status,
    forecasts.reason
   FROM released.forecasts
  WHERE (forecasts.cutoff = ( SELECT max(vintages.cutoff) AS max_1
           FROM released.forecasts vintages));
CREATE TABLE released.forecasts_withdrawn (
    cutoff date NOT NULL,
    unique_id text NOT NULL,
    ds date NOT NULL,
    horizon bigint NOT NULL,
    mean double precision NOT NULL,
    p05 double precision NOT NULL,
    p10 double precision NOT NULL,
    p25 double precision NOT NULL,
    p50 double precision NOT NULL,
    p75 double precision NOT NULL,
    p90 double precision NOT NULL,
    p95 double precision NOT NULL,
    model text NOT NULL,
    model_version text NOT NULL,
    snapshot text NOT NULL,
    run_id text NOT NULL,
    status text NOT NULL,
    reason text,
    withdrawn_by text NOT NULL,
    withdrawn_at timestamp with time zone NOT NULL,
    withdrawn_reason text NOT NULL
);
CREATE TABLE released.judgements (
    cutoff date NOT NULL,
    version text NOT NULL,
    rival text NOT NULL,
    rule text NOT NULL,
    segment text NOT NULL,
    challenger double precision,
    champion double precision,
    improvement double precision,
    low double precision,
    high double precision,
    passed boolean NOT NULL,
    periods bigint NOT NULL,
    run_id text NOT NULL
);
CREATE TABLE released.lost_demand (
    cutoff date NOT NULL,
    unique_id text NOT NULL,
    ds date NOT NULL,
    sold double precision NOT NULL,
    expected double precision NOT NULL,
    lost double precision NOT NULL,
    model_version text NOT NULL,
    run_id text NOT NULL
);
CREATE TABLE released.promotions (
    cutoff date NOT NULL,
    version text NOT NULL,
    decision text NOT NULL,
    champion text,
    by text NOT NULL,
    reason text NOT NULL,
    note text,
    metric text,
    challenger_value double precision,
    champion_value double precision,
    naive_value double precision,
    decided_at timestamp with time zone NOT NULL,
    run_id text NOT NULL
);
CREATE TABLE released.quality (
    cutoff date NOT NULL,
    snapshot text NOT NULL,
    "table" text NOT NULL,
    rule text NOT NULL,
    severity text NOT NULL,
    read bigint NOT NULL,
    clean bigint NOT NULL,
    quarantined bigint NOT NULL,
    passed boolean NOT NULL,
    message text,
    run_id text NOT NULL
);
CREATE TABLE released.quarantine (
    cutoff date NOT NULL,
    snapshot text NOT NULL,
    "table" text NOT NULL,
    "row" bigint NOT NULL,
    rule text NOT NULL,
    reason text NOT NULL,
    content text NOT NULL,
    run_id text NOT NULL
);
COMMENT ON TABLE released.quarantine IS 'Every rejected row, whole, with the rule that rejected it; of a night that was stopped, the first 1,000 a rule.';
CREATE TABLE released.runs (
    run_id text NOT NULL,
    step text NOT NULL,
    cutoff date NOT NULL,
    snapshot text,
    model_version text,
    rows bigint,
    seconds double precision NOT NULL,
    outcome text NOT NULL,
    message text,
    started_at timestamp with time zone NOT NULL,
    settings text NOT NULL,
    code text NOT NULL
);
CREATE TABLE released.scores (
    cutoff date NOT NULL,
    scored_at date NOT NULL,
    level text NOT NULL,
    "group" text NOT NULL,
    bucket text NOT NULL,
    metric text NOT NULL,
    value double precision,
    periods bigint NOT NULL,
    model_version text NOT NULL,
    run_id text NOT NULL
);
ALTER TABLE ONLY released.backtests
    ADD CONSTRAINT backtests_pkey PRIMARY KEY (cutoff, model, fold, level, metric);
ALTER TABLE ONLY released.forecast_levels
    ADD CONSTRAINT forecast_levels_pkey PRIMARY KEY (cutoff, level, name, ds);
ALTER TABLE ONLY released.forecast_sums
    ADD CONSTRAINT forecast_sums_pkey PRIMARY KEY (cutoff, level, name, periods);
ALTER TABLE ONLY released.forecasts
    ADD CONSTRAINT forecasts_pkey PRIMARY KEY (cutoff, unique_id, ds);
ALTER TABLE ONLY released.forecasts_withdrawn
    ADD CONSTRAINT forecasts_withdrawn_pkey PRIMARY KEY (cutoff, withdrawn_by, unique_id, ds);
ALTER TABLE ONLY released.judgements
    ADD CONSTRAINT judgements_pkey PRIMARY KEY (cutoff, version, rule, segment);
ALTER TABLE ONLY released.lost_demand
    ADD CONSTRAINT lost_demand_pkey PRIMARY KEY (cutoff, unique_id, ds);
ALTER TABLE ONLY released.promotions
    ADD CONSTRAINT promotions_pkey PRIMARY KEY (run_id, version, decision);
ALTER TABLE ONLY released.quality
    ADD CONSTRAINT quality_pkey PRIMARY KEY (cutoff, "table", rule);
ALTER TABLE ONLY released.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (cutoff, "table", "row");
ALTER TABLE ONLY released.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (run_id, step);
ALTER TABLE ONLY released.scores
    ADD CONSTRAINT scores_pkey PRIMARY KEY (cutoff, level, "group", bucket, metric);
CREATE INDEX forecasts_by_series ON released.forecasts USING btree (unique_id, cutoff);
CREATE INDEX forecasts_withdrawn_by_series ON released.forecasts_withdrawn USING btree (unique_id, cutoff);
CREATE INDEX lost_demand_by_series ON released.lost_demand USING btree (unique_id, cutoff);
