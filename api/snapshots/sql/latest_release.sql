-- When the ranking that is served was released, 1970 when it never was; and which serving views
-- there are: a replaced view has another uuid.
select
    max(released_at) as released_at,
    (
        select toString(groupArray(views.uuid))
        from (
            select uuid
            from system.tables
            where
                database = 'nova'
                and engine = 'View'
                and startsWith(name, 'feed__')
            order by uuid
        ) as views
    ) as views_version
from nova.ranking_releases
