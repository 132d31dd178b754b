-- Videos that have all tokens of a query, all of its correction, or a scarce one: the newest few
-- hundred. Versions that do not stand any more are among them.
select
    video_id,
    creator_id,
    published_at,
    occurrences,
    _version as version
from {{ source('raw', 'video_documents') }}
where
    (
        hasAllTokens(tokens, {{ asked_tokens() }})
        or hasAllTokens(tokens, {{ corrected_tokens() }})
        or hasAnyTokens(tokens, {{ scarce_tokens() }})
    )
    and published_at >= {{ published_from() }}
    and published_at <= {{ published_until() }}
    and (empty({{ creator_ids() }}) or has({{ creator_ids() }}, creator_id))
    and (empty({{ categories() }}) or has({{ categories() }}, category))
order by
    published_at desc,
    video_id desc
limit {{ 2 * var('search_candidates_videos') }}
