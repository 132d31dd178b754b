-- One row per public video, with what it has in common with others, as hashes.
{{ config(materialized='view') }}

select
    videos.video_id as video_id,
    arrayMap(
        content -> sipHash64(content.1, content.2),
        arrayConcat(
            [('creator', toString(videos.creator_id))],
            if(videos.sound_id = 0, [], [('sound', toString(videos.sound_id))]),
            if(videos.category = '', [], [('category', videos.category)]),
            arrayMap(
                hashtag -> ('hashtag', hashtag),
                arrayDistinct(
                    arraySlice(
                        arrayMap(hashtag -> lowerUTF8(hashtag), videos.hashtags),
                        1,
                        {{ var('embedding_hashtags') }}
                    )
                )
            )
        )
    ) as content_keys
from {{ source('raw', 'videos_current') }} as videos
where videos.status = 'published'
