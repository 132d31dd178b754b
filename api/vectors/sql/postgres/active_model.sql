-- The version of embeddings that is served; no row while none is.
select model_version
from app.deep_recall_models
where active
