-- A query with its unknown words corrected; empty when there is nothing to correct.
select corrected_query
from nova.search__corrections(search_query = {search_query:String})
