"""Records of a Kinesis stream."""

from datetime import timedelta

from include.checks.suite import not_in_future, not_null, row_condition, staged

SUITE = staged(
    "kinesis__records",
    key="kinesis_record_id",
    max_age=timedelta(hours=26),
    types={
        "kinesis_record_id": "STRING",
        "shard_id": "STRING",
        "sequence_number": "STRING",
        "partition_key": "STRING",
        "data": "STRING",
        "data_base64": "STRING",
        "arrived_at": "TIMESTAMP",
    },
    expectations=[
        not_null("arrived_at"),
        not_in_future("arrived_at"),
        row_condition("holds something", "t.data IS NULL AND t.data_base64 IS NULL"),
    ],
)
