-- What a query asks for, as search__reels is asked with it. Rules and weights are the view's.
select
    asked_tokens,
    corrected_tokens,
    scarce_tokens,
    are_known,
    token_hashes,
    token_weights,
    mean_tokens
from
    nova.search__terms(
        search_query = {search_query:String},
        correction = {correction:String},
        is_relaxed = {is_relaxed:Bool}
    )
