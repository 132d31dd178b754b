-- What a video is found by: the words of its title, hashtags and description.
--
-- Three functions say what a word is, for documents and queries alike, in any script. They are part
-- of the table, like its columns: a document that was cut one way is not found by a query that is
-- cut another. Who wants to cut differently adds functions of another name, and another table.
--
-- Folded first: compatibility forms (full width, ligatures), case, accents, and four letters that
-- have a stroke or no dot instead of an accent. Apostrophes, joiners, variants and skin tones are
-- left out, so that don't is dont and a thumb is a thumb. Then cut: letters, digits and their marks
-- are a word, a symbol (an emoji) is one, two regional indicators are one (a flag). What is written
-- without spaces (Han, Kana, Thai, Lao, Khmer, Burmese) is kept apart from what stands beside it.
create function if not exists nova_search_words ${on_cluster} -- noqa: PRS
as (text) -> arrayMap(
    word -> substringUTF8(word, 1, 64),
    arraySlice(
        extractAll(
            replaceRegexpAll(
                replaceRegexpAll(
                    translateUTF8(
                        removeDiacriticsUTF8(normalizeUTF8NFKCCasefold(text)), 'ıøłđ', 'iold'
                    ),
                    '[\'’ʼ\\x{200D}\\x{20E3}\\x{FE0F}\\x{1F3FB}-\\x{1F3FF}]',
                    ''
                ),
                '([\\p{Han}\\p{Hiragana}\\p{Katakana}ー\\p{Thai}\\p{Lao}\\p{Khmer}\\p{Myanmar}]+)',
                ' \\1 '
            ),
            '[\\x{1F1E6}-\\x{1F1FF}]{2}|\\p{So}|[\\p{L}\\p{M}\\p{N}]+'
        ),
        1,
        1000
    )
);

-- Of a document: what is written without spaces is cut into its characters and pairs of them.
create function if not exists nova_search_tokens ${on_cluster} -- noqa: PRS
as (text) -> arrayFlatten(
    arrayMap(
        word -> if(
            match(
                word,
                '^[\\p{Han}\\p{Hiragana}\\p{Katakana}ー\\p{Thai}\\p{Lao}\\p{Khmer}\\p{Myanmar}]'
            ),
            arrayConcat(ngrams(word, 1), ngrams(word, 2)),
            [word]
        ),
        nova_search_words(text)
    )
);

-- Of a query: pairs alone, where there are two characters; they say what the characters say, and
-- that they stand beside each other.
create function if not exists nova_query_tokens ${on_cluster} -- noqa: PRS
as (text) -> arrayDistinct(
    arrayFlatten(
        arrayMap(
            word -> if(
                lengthUTF8(word) > 1 and match(
                    word,
                    '^[\\p{Han}\\p{Hiragana}\\p{Katakana}ー\\p{Thai}\\p{Lao}\\p{Khmer}\\p{Myanmar}]'
                ),
                ngrams(word, 2),
                [word]
            ),
            nova_search_words(text)
        )
    )
);

-- Newest first, so that a scan for a word that a million videos have ends with the first few
-- hundred. A version with another time is another row, and one that is not public (any more) stays
-- without words: who reads looks up which version stands.
--
-- What scores a video is one short column, in small blocks: candidates are scattered, and a block
-- is read for each. Of a term: 40 bits of its hash, and 8 each for how often it is in the title, in
-- hashtags and in the description.
create table if not exists raw.video_documents ${on_cluster} ( -- noqa: PRS
    video_id UInt64 comment 'Video; key',
    creator_id UInt64 comment 'User who published it',
    category LowCardinality(String) comment 'Topic, empty when unknown',
    published_at DateTime64(3, 'UTC') comment 'When it became public (UTC); key',
    is_public Bool comment 'True in versions that are published and not deleted',
    tokens Array(String) comment 'Each token once, in any order; none when not public',
    occurrences Array(
        UInt64
    ) comment 'Per token: hash * 2^24 + times in title * 2^16 + in hashtags * 2^8 + in description',
    _version UInt64 comment 'Version of the video this is of',
    landed_at DateTime64(3, 'UTC') comment 'When that was stored here (UTC)',
    index tokens_text tokens type text(tokenizer = array)
)
engine = ${replicated}ReplacingMergeTree(_version)
order by (published_at desc, video_id desc)
ttl toDateTime(landed_at) + interval 365 day delete
where not is_public
settings
    allow_experimental_reverse_key = 1,
    index_granularity = 128,
    min_compress_block_size = 4096,
    max_compress_block_size = 16384,
    min_age_to_force_merge_seconds = 604800,
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
comment 'One row per video that was ever public, and version. Versions merge late.';

create materialized view if not exists raw.video_documents_mv ${on_cluster}
to raw.video_documents
as
select
    video_id,
    creator_id,
    category,
    published_at,
    is_public,
    tokens,
    arrayMap(
        token -> cityHash64(token) % 1099511627776 * 16777216
        + least(countEqual(title_tokens, token), 255) * 65536
        + least(countEqual(hashtag_tokens, token), 255) * 256
        + least(countEqual(description_tokens, token), 255),
        tokens
    ) as occurrences,
    _version,
    landed_at
from (
    select
        video_id,
        creator_id,
        category,
        published_at,
        status = 'published' and not deleted as is_public,
        nova_search_tokens(if(is_public, title, '')) as title_tokens,
        nova_search_tokens(if(is_public, arrayStringConcat(hashtags, ' '), '')) as hashtag_tokens,
        nova_search_tokens(if(is_public, description, '')) as description_tokens,
        arrayDistinct(arrayConcat(title_tokens, hashtag_tokens, description_tokens)) as tokens,
        _version,
        landed_at
    from raw.videos
    where published_at > toDateTime64(0, 3, 'UTC')
) as cut;

-- Videos that landed before the view was there; a second run finds them.
insert into raw.video_documents
select
    video_id,
    creator_id,
    category,
    published_at,
    is_public,
    tokens,
    arrayMap(
        token -> cityHash64(token) % 1099511627776 * 16777216
        + least(countEqual(title_tokens, token), 255) * 65536
        + least(countEqual(hashtag_tokens, token), 255) * 256
        + least(countEqual(description_tokens, token), 255),
        tokens
    ) as occurrences,
    _version,
    landed_at
from (
    select
        video_id,
        creator_id,
        category,
        published_at,
        status = 'published' and not deleted as is_public,
        nova_search_tokens(if(is_public, title, '')) as title_tokens,
        nova_search_tokens(if(is_public, arrayStringConcat(hashtags, ' '), '')) as hashtag_tokens,
        nova_search_tokens(if(is_public, description, '')) as description_tokens,
        arrayDistinct(arrayConcat(title_tokens, hashtag_tokens, description_tokens)) as tokens,
        _version,
        landed_at
    from raw.videos
    where
        published_at > toDateTime64(0, 3, 'UTC')
        and video_id not in (
            select video_id
            from raw.video_documents
        )
) as cut
settings deduplicate_insert_select = 'disable';
