/*
title: What PhantomBuster's agents saw people do on LinkedIn and X, one row per agent, profile, post and comment.
why: >-
  Agents report the same people at every run, and their columns changed over the years: each value is taken from
  wherever it stands. An address that an agent guessed is not taken over, because nobody gave it
latest_by: ended_at
columns:
  phantombuster_row_id: Hash of what makes the row one; its own id, as rows have none.
  agent_id: The agent.
  agent_name: What the agent is called.
  container_id: The agent's latest run that saw it.
  kind: liked or commented; seen where the profile was only looked at.
  linkedin_url: The LinkedIn profile, by its name where it has one.
  twitter_handle: The handle on X.
  full_name: Name on the profile.
  headline: What the person says they do.
  post_url: The post that was liked or commented on.
  comment_url: The comment.
  happened_at: When it happened, as far as the agent can tell, else when it was seen, UTC.
  ended_at: When the run ended, UTC; says which version of a row is the latest.
  is_deleted: Always FALSE; what was seen is not unseen.
*/
WITH
rows_seen AS (
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    JSON_VALUE(_payload, '$.agent_id') AS agent_id,
    JSON_VALUE(_payload, '$.agent_name') AS agent_name,
    JSON_VALUE(_payload, '$.container_id') AS container_id,
    TIMESTAMP_ADD(
      TIMESTAMP '1970-01-01 00:00:00+00',
      INTERVAL SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.ended_at'), r'^\d{1,14}$') AS INT64) MILLISECOND
    ) AS ended_at,
    COALESCE(
      NULLIF(JSON_VALUE(_payload, '$.row.profileUrl'), ''),
      NULLIF(JSON_VALUE(_payload, '$.row.profileLink'), ''),
      NULLIF(JSON_VALUE(_payload, '$.row.linkedinProfileUrl'), ''),
      NULLIF(JSON_VALUE(_payload, '$.row.linkedInProfileUrl'), '')
    ) AS profile,
    NULLIF(JSON_VALUE(_payload, '$.row.linkedinProfileSlug'), '') AS slug,
    COALESCE(
      NULLIF(JSON_VALUE(_payload, '$.row.twitterHandle'), ''),
      NULLIF(JSON_VALUE(_payload, '$.row.screenName'), ''),
      NULLIF(JSON_VALUE(_payload, '$.row.handle'), '')
    ) AS handle,
    COALESCE(
      NULLIF(TRIM(JSON_VALUE(_payload, '$.row.fullName')), ''),
      NULLIF(TRIM(JSON_VALUE(_payload, '$.row.name')), ''),
      NULLIF(
        TRIM(
          CONCAT(
            COALESCE(JSON_VALUE(_payload, '$.row.firstName'), ''), ' ',
            COALESCE(JSON_VALUE(_payload, '$.row.lastName'), '')
          )
        ), ''
      )
    ) AS full_name,
    COALESCE(
      NULLIF(JSON_VALUE(_payload, '$.row.linkedinHeadline'), ''),
      NULLIF(JSON_VALUE(_payload, '$.row.headline'), ''),
      NULLIF(JSON_VALUE(_payload, '$.row.occupation'), '')
    ) AS headline,
    NULLIF(JSON_VALUE(_payload, '$.row.postUrl'), '') AS post_url,
    NULLIF(JSON_VALUE(_payload, '$.row.commentUrl'), '') AS comment_url,
    NULLIF(JSON_VALUE(_payload, '$.row.comment'), '') IS NOT NULL AS has_comment,
    NULLIF(JSON_VALUE(_payload, '$.row.reactionType'), '') IS NOT NULL AS has_reaction,
    COALESCE(
      SAFE_CAST(JSON_VALUE(_payload, '$.row.commentDate') AS TIMESTAMP),
      SAFE_CAST(JSON_VALUE(_payload, '$.row.timestamp') AS TIMESTAMP)
    ) AS told_at
  FROM raw.phantombuster__rows
),

named AS (
  SELECT
    *,
    IF(slug IS NOT NULL, CONCAT('https://www.linkedin.com/in/', slug), REGEXP_EXTRACT(profile, r'^.*linkedin\.com/.+$'))
      AS linkedin_url,
    COALESCE(REGEXP_EXTRACT(profile, r'(?:twitter|//x|\.x)\.com/(\w+)'), handle) AS twitter_handle,
    CASE WHEN has_comment OR comment_url IS NOT NULL THEN 'commented' WHEN has_reaction THEN 'liked' ELSE 'seen' END
      AS kind
  FROM rows_seen
),

identified AS (
  SELECT
    *,
    SUBSTR(
      TO_HEX(
        SHA256(
          CONCAT(
            agent_id, '\n', COALESCE(linkedin_url, twitter_handle, _key), '\n', COALESCE(post_url, ''), '\n',
            COALESCE(comment_url, '')
          )
        )
      ), 1, 32
    ) AS phantombuster_row_id
  FROM named
)

SELECT
  _account,
  phantombuster_row_id AS _key,
  _seq,
  _extracted_at,
  phantombuster_row_id,
  agent_id,
  agent_name,
  container_id,
  kind,
  linkedin_url,
  twitter_handle,
  full_name,
  headline,
  post_url,
  comment_url,
  COALESCE(told_at, ended_at) AS happened_at,
  ended_at,
  FALSE AS is_deleted
FROM identified
WHERE phantombuster_row_id IS NOT NULL
