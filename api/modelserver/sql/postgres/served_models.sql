-- The versions a model server computes, the active one first: its videos are looked for at once.
select
    model_version,
    dimensions
from app.deep_recall_models
where
    provider = 'tensorflow_serving'
    and not deleted
order by
    active desc,
    model_version asc
