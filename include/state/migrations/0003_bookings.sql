DROP TABLE budgets;

CREATE TABLE budgets (
  name TEXT PRIMARY KEY,
  calls BIGINT NOT NULL
);

CREATE TABLE bookings (
  name TEXT NOT NULL,
  number BIGINT NOT NULL,
  goes_at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (name, number)
);
