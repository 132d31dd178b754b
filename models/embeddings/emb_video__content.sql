-- One row per public video, with what it has in common with others, as hashes.
{{ config(materialized='view') }}

select
    video_id,
    arrayMap(
        content -> sipHash64(content.1, content.2),
        arrayConcat(
            [('creator', toString(creator_id))],
            if(sound_id = 0, [], [('sound', toString(sound_id))]),
            if(category = '', [], [('category', category)]),
            arrayMap(
                hashtag -> ('hashtag', hashtag),
                arrayDistinct(
                    arraySlice(
                        arrayMap(hashtag -> lowerUTF8(hashtag), hashtags),
                        1,
                        {{ var('embedding_hashtags') }}
                    )
                )
            )
        )
    ) as content_keys
from {{ source('raw', 'videos_current') }}
where status = 'published'
