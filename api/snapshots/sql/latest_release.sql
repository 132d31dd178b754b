-- When the ranking that is served was released; 1970 when it never was.
select max(released_at) as released_at
from nova.ranking_releases
