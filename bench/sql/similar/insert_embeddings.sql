-- Vectors around 2,000 centres, as many as asked for, from an id on. A hash decides, so the same
-- ones every time.
insert into raw.video_embeddings (model_version, video_id, embedding)
select
    {model_version:String},
    number as video_id,
    arrayMap(
        n -> toFloat32(
            (sipHash64(number % 2000, n) / 18446744073709551615. - 0.5)
            + 0.7 * (sipHash64(number, n, 'own') / 18446744073709551615. - 0.5)
        ),
        range(64)
    ) as embedding
from numbers({first:UInt64}, {vectors:UInt64})
settings max_insert_threads = 2
