CREATE TABLE backtests (
	cutoff DATE NOT NULL,
	model TEXT NOT NULL,
	fold DATE NOT NULL,
	level TEXT NOT NULL,
	metric TEXT NOT NULL,
	value DOUBLE,
	weight DOUBLE NOT NULL,
	champion BOOLEAN NOT NULL,
	model_version TEXT NOT NULL,
	snapshot TEXT NOT NULL,
	run_id TEXT NOT NULL,
	PRIMARY KEY (cutoff, model, fold, level, metric)
)
 WITHOUT ROWID;

CREATE TABLE forecast_levels (
	cutoff DATE NOT NULL,
	level TEXT NOT NULL,
	name TEXT NOT NULL,
	ds DATE NOT NULL,
	horizon BIGINT NOT NULL,
	mean DOUBLE NOT NULL,
	p05 DOUBLE NOT NULL,
	p10 DOUBLE NOT NULL,
	p25 DOUBLE NOT NULL,
	p50 DOUBLE NOT NULL,
	p75 DOUBLE NOT NULL,
	p90 DOUBLE NOT NULL,
	p95 DOUBLE NOT NULL,
	model TEXT NOT NULL,
	model_version TEXT NOT NULL,
	snapshot TEXT NOT NULL,
	run_id TEXT NOT NULL,
	PRIMARY KEY (cutoff, level, name, ds)
)
 WITHOUT ROWID;

CREATE TABLE forecast_sums (
	cutoff DATE NOT NULL,
	level TEXT NOT NULL,
	name TEXT NOT NULL,
	periods BIGINT NOT NULL,
	mean DOUBLE NOT NULL,
	p05 DOUBLE NOT NULL,
	p10 DOUBLE NOT NULL,
	p25 DOUBLE NOT NULL,
	p50 DOUBLE NOT NULL,
	p75 DOUBLE NOT NULL,
	p90 DOUBLE NOT NULL,
	p95 DOUBLE NOT NULL,
	model TEXT NOT NULL,
	model_version TEXT NOT NULL,
	snapshot TEXT NOT NULL,
	run_id TEXT NOT NULL,
	PRIMARY KEY (cutoff, level, name, periods)
)
 WITHOUT ROWID;

CREATE TABLE forecasts (
	cutoff DATE NOT NULL,
	unique_id TEXT NOT NULL,
	ds DATE NOT NULL,
	horizon BIGINT NOT NULL,
	mean DOUBLE NOT NULL,
	p05 DOUBLE NOT NULL,
	p10 DOUBLE NOT NULL,
	p25 DOUBLE NOT NULL,
	p50 DOUBLE NOT NULL,
	p75 DOUBLE NOT NULL,
	p90 DOUBLE NOT NULL,
	p95 DOUBLE NOT NULL,
	model TEXT NOT NULL,
	model_version TEXT NOT NULL,
	snapshot TEXT NOT NULL,
	run_id TEXT NOT NULL,
	status TEXT NOT NULL,
	reason TEXT,
	PRIMARY KEY (cutoff, unique_id, ds)
)
 WITHOUT ROWID;

CREATE TABLE forecasts_withdrawn (
	cutoff DATE NOT NULL,
	unique_id TEXT NOT NULL,
	ds DATE NOT NULL,
	horizon BIGINT NOT NULL,
	mean DOUBLE NOT NULL,
	p05 DOUBLE NOT NULL,
	p10 DOUBLE NOT NULL,
	p25 DOUBLE NOT NULL,
	p50 DOUBLE NOT NULL,
	p75 DOUBLE NOT NULL,
	p90 DOUBLE NOT NULL,
	p95 DOUBLE NOT NULL,
	model TEXT NOT NULL,
	model_version TEXT NOT NULL,
	snapshot TEXT NOT NULL,
	run_id TEXT NOT NULL,
	status TEXT NOT NULL,
	reason TEXT,
	withdrawn_by TEXT NOT NULL,
	withdrawn_at DATETIME NOT NULL,
	withdrawn_reason TEXT NOT NULL,
	PRIMARY KEY (cutoff, withdrawn_by, unique_id, ds)
)
 WITHOUT ROWID;

CREATE TABLE judgements (
	cutoff DATE NOT NULL,
	version TEXT NOT NULL,
	rival TEXT NOT NULL,
	rule TEXT NOT NULL,
	segment TEXT NOT NULL,
	challenger DOUBLE,
	champion DOUBLE,
	improvement DOUBLE,
	low DOUBLE,
	high DOUBLE,
	passed BOOLEAN NOT NULL,
	periods BIGINT NOT NULL,
	run_id TEXT NOT NULL,
	PRIMARY KEY (cutoff, version, rule, segment)
)
 WITHOUT ROWID;

CREATE TABLE lost_demand (
	cutoff DATE NOT NULL,
	unique_id TEXT NOT NULL,
	ds DATE NOT NULL,
	sold DOUBLE NOT NULL,
	expected DOUBLE NOT NULL,
	lost DOUBLE NOT NULL,
	model_version TEXT NOT NULL,
	run_id TEXT NOT NULL,
	PRIMARY KEY (cutoff, unique_id, ds)
)
 WITHOUT ROWID;

CREATE TABLE promotions (
	cutoff DATE NOT NULL,
	version TEXT NOT NULL,
	decision TEXT NOT NULL,
	champion TEXT,
	"by" TEXT NOT NULL,
	reason TEXT NOT NULL,
	note TEXT,
	metric TEXT,
	challenger_value DOUBLE,
	champion_value DOUBLE,
	naive_value DOUBLE,
	decided_at DATETIME NOT NULL,
	run_id TEXT NOT NULL,
	PRIMARY KEY (run_id, version, decision)
)
 WITHOUT ROWID;

CREATE TABLE quality (
	cutoff DATE NOT NULL,
	snapshot TEXT NOT NULL,
	"table" TEXT NOT NULL,
	rule TEXT NOT NULL,
	severity TEXT NOT NULL,
	read BIGINT NOT NULL,
	clean BIGINT NOT NULL,
	quarantined BIGINT NOT NULL,
	passed BOOLEAN NOT NULL,
	message TEXT,
	run_id TEXT NOT NULL,
	PRIMARY KEY (cutoff, "table", rule)
)
 WITHOUT ROWID;

CREATE TABLE quarantine (
	cutoff DATE NOT NULL,
	snapshot TEXT NOT NULL,
	"table" TEXT NOT NULL,
	"row" BIGINT NOT NULL,
	rule TEXT NOT NULL,
	reason TEXT NOT NULL,
	content TEXT NOT NULL,
	run_id TEXT NOT NULL,
	PRIMARY KEY (cutoff, "table", "row")
)
 WITHOUT ROWID;

CREATE TABLE runs (
	run_id TEXT NOT NULL,
	step TEXT NOT NULL,
	cutoff DATE NOT NULL,
	snapshot TEXT,
	model_version TEXT,
	rows BIGINT,
	seconds DOUBLE NOT NULL,
	outcome TEXT NOT NULL,
	message TEXT,
	started_at DATETIME NOT NULL,
	settings TEXT NOT NULL,
	code TEXT NOT NULL,
	PRIMARY KEY (run_id, step)
)
 WITHOUT ROWID;

CREATE TABLE scores (
	cutoff DATE NOT NULL,
	scored_at DATE NOT NULL,
	level TEXT NOT NULL,
	"group" TEXT NOT NULL,
	bucket TEXT NOT NULL,
	metric TEXT NOT NULL,
	value DOUBLE,
	periods BIGINT NOT NULL,
	model_version TEXT NOT NULL,
	run_id TEXT NOT NULL,
	PRIMARY KEY (cutoff, level, "group", bucket, metric)
)
 WITHOUT ROWID;

CREATE INDEX forecasts_by_series ON forecasts (unique_id, cutoff);

CREATE INDEX forecasts_withdrawn_by_series ON forecasts_withdrawn (unique_id, cutoff);

CREATE INDEX lost_demand_by_series ON lost_demand (unique_id, cutoff);

CREATE VIEW forecasts_latest AS SELECT forecasts.cutoff, forecasts.unique_id, forecasts.ds, forecasts.horizon, forecasts.mean, forecasts.p05, forecasts.p10, forecasts.p25, forecasts.p50, forecasts.p75, forecasts.p90, forecasts.p95, forecasts.model, forecasts.model_version, forecasts.snapshot, forecasts.run_id, forecasts.status, forecasts.reason
FROM forecasts
WHERE forecasts.cutoff = (SELECT max(vintages.cutoff) AS max_1
FROM forecasts AS vintages);
