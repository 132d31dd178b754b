-- Postgres searches while ClickHouse is away. These two functions belong to the index, which is
-- wrong as soon as one of them says something else: they are never replaced, others take their
-- place in an index of their own.
--
-- pg_trgm knows how similar two texts are. It is a trusted extension: the owner of a database may
-- create it.
create extension if not exists pg_trgm;

-- A text as it is compared: compatibility forms, case and accents folded, punctuation away, and
-- what is written without spaces, or is a picture, apart. To the parser of full text a run of these
-- is one word.
create function app.search_text(p_text text)
returns text
language sql
immutable
parallel safe
return regexp_replace(
    regexp_replace(
        translate(
            lower(
                regexp_replace(
                    normalize(p_text, nfkd),
                    U&'[''\2019\02BC\0300-\036F\064B-\065F\200D\20E3\FE0F\+01F3FB-\+01F3FF]',
                    '',
                    'g'
                )
            ),
            'ıøłđ',
            'iold'
        ),
        U&'[!-/:-@[-`{-~\00A1-\00BF\2010-\205E\3000-\303F]+', ' ', 'g'
    ),
    U&'([\0E00-\0EFF\1000-\109F\1780-\17FF\3040-\30FF\3400-\9FFF\2190-\2BFF\+01F000-\+01FAFF])',
    ' \1 ',
    'g'
);

comment on function app.search_text(text) is
'A text as searches compare it: folded, words apart. Part of the index: never replace it.';

create function app.video_document(p_title text, p_description text, p_hashtags text[])
returns tsvector
language sql
immutable
parallel safe
return setweight(to_tsvector('simple'::regconfig, app.search_text(p_title)), 'A')
|| setweight(
    to_tsvector('simple'::regconfig, app.search_text(array_to_string(p_hashtags, ' '))), 'B'
)
|| setweight(to_tsvector('simple'::regconfig, app.search_text(p_description)), 'C');

comment on function app.video_document(text, text, text[]) is
'What a video is found by: title (A), hashtags (B), description (C). Part of the index: never '
'replace it.';

create index videos_document_idx on app.videos
using gin (app.video_document(title, description, hashtags))
where status = 'published' and not deleted;

-- A word that very many have is looked for among the newest, in this order.
create index videos_newest_idx on app.videos (published_at desc, id desc)
where status = 'published' and not deleted;
