/*
title: Records of a Kinesis stream, one row per shard and sequence number.
why: What stands in a record is the producers' affair; models of your own read `data`.
columns:
  kinesis_record_id: Shard and sequence number.
  shard_id: The shard.
  sequence_number: The record's number; it grows within a shard.
  partition_key: Key by which the producer spread its records over shards.
  data: What was sent, as JSON text; NULL where it was no JSON, or null.
  data_base64: What was sent, in Base64, where it was no JSON.
  arrived_at: When Kinesis received it, UTC.
  is_deleted: Always FALSE; records expire in the stream and stay here.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  CONCAT(JSON_VALUE(_payload, '$.shard_id'), '/', JSON_VALUE(_payload, '$.sequence_number')) AS kinesis_record_id,
  JSON_VALUE(_payload, '$.shard_id') AS shard_id,
  JSON_VALUE(_payload, '$.sequence_number') AS sequence_number,
  NULLIF(JSON_VALUE(_payload, '$.partition_key'), '') AS partition_key,
  NULLIF(TO_JSON_STRING(JSON_QUERY(_payload, '$.data')), 'null') AS data,
  JSON_VALUE(_payload, '$.data_base64') AS data_base64,
  SAFE_CAST(JSON_VALUE(_payload, '$.arrived_at') AS TIMESTAMP) AS arrived_at,
  FALSE AS is_deleted
FROM raw.kinesis__records
