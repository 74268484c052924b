CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);

CREATE TABLE budgets (
  name TEXT PRIMARY KEY,
  arrives_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE leased (
  name TEXT PRIMARY KEY
);

CREATE TABLE leases (
  lease_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  holder TEXT NOT NULL,
  expires_at DOUBLE PRECISION NOT NULL
);

CREATE INDEX leases_name ON leases (name);

CREATE TABLE locks (
  name TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  expires_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE circuits (
  host TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  failures BIGINT NOT NULL,
  opened_at DOUBLE PRECISION,
  retry_at DOUBLE PRECISION,
  probe_holder TEXT,
  probe_until DOUBLE PRECISION
);

CREATE TABLE incidents (
  incident_id TEXT PRIMARY KEY,
  cause TEXT NOT NULL,
  title TEXT NOT NULL,
  detail TEXT NOT NULL,
  tier TEXT NOT NULL,
  opened_at DOUBLE PRECISION NOT NULL,
  last_seen_at DOUBLE PRECISION NOT NULL,
  occurrences BIGINT NOT NULL,
  resolved_at DOUBLE PRECISION,
  alert_tried_at DOUBLE PRECISION,
  alerted_at DOUBLE PRECISION,
  alert_error TEXT
);

CREATE UNIQUE INDEX incidents_open ON incidents (cause) WHERE resolved_at IS NULL;

CREATE TABLE incident_tasks (
  incident_id TEXT NOT NULL,
  task TEXT NOT NULL,
  PRIMARY KEY (incident_id, task)
);

CREATE INDEX incident_tasks_task ON incident_tasks (task);

CREATE TABLE tokens (
  name TEXT PRIMARY KEY,
  ciphertext TEXT NOT NULL,
  updated_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE audit (
  audit_id BIGINT PRIMARY KEY,
  at DOUBLE PRECISION NOT NULL,
  who TEXT NOT NULL,
  action TEXT NOT NULL,
  what TEXT NOT NULL
);
