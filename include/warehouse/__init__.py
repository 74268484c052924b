"""The warehouse: one protocol, two engines, and the SQL folders in the order the data takes."""
