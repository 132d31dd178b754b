-- Titles of words whose frequencies are like those of a language (the r-th most frequent of 200,000
-- words about 1 / r times as often as the first), one word in twenty each in Cyrillic, in Arabic,
-- in Chinese and an emoji. The same for the same number of videos.
insert into raw.videos (
    video_id,
    creator_id,
    category,
    title,
    description,
    hashtags,
    status,
    created_at,
    published_at,
    _txid,
    _version
)
select
    number + 1 as video_id,
    number % 50000 as creator_id,
    toString(number % 20) as category,
    arrayStringConcat(arraySlice(words, 1, 3 + number % 8), ' ') as title,
    arrayStringConcat(arraySlice(words, 17, number % 16), ' ') as description,
    arraySlice(words, 12, number % 5) as hashtags,
    'published' as status,
    published_at as created_at,
    toDateTime64('2026-01-01 00:00:00', 3, 'UTC') - toIntervalSecond(number * 31) as published_at,
    1 as _txid,
    1 as _version
from (
    select
        number,
        arrayMap(
            rank -> arrayStringConcat(
                arrayMap(
                    place -> multiIf(
                        rank % 20 = 16,
                        ['ка', 'то', 'ме', 'ри', 'на', 'лу', 'сно', 'ве', 'гра', 'пи'],
                        rank % 20 = 17,
                        ['با', 'تر', 'سو', 'مي', 'نا', 'كل', 'رو', 'دي', 'هم', 'لا'],
                        rank % 20 = 18,
                        ['山', '水', '火', '天', '人', '大', '小', '中', '国', '学'],
                        rank % 20 = 19,
                        ['😂', '🔥', '❤', '🐶', '🍕', '🎬', '🏐', '🦒', '🎉', '🚀'],
                        ['ka', 'to', 'me', 'ri', 'na', 'lu', 'sno', 've', 'gra', 'pi']
                    )[1 + intDiv(rank, pow(10, place)) % 10],
                    range(toUInt64(if(rank % 20 = 19, 1, 1 + length(toString(rank)))))
                )
            ),
            arrayMap(
                place -> toUInt64(pow(200000, sipHash64(number, place) % 1000000 / 1000000)),
                range(32)
            )
        ) as words
    from numbers({videos:UInt64}) -- noqa: PRS
) as written
