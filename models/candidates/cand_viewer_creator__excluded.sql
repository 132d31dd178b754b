-- The creators this viewer must not be shown: themselves, those they blocked, and those who
-- blocked them.
select {{ viewer_id() }} as creator_id

union all

select blocked_id as creator_id
from {{ source('raw', 'blocks_current') }}
where blocker_id = {{ viewer_id() }}

union all

select creator_id
from {{ ref('cand_viewer_creator__blocked_by') }}
where viewer_id = {{ viewer_id() }}
