-- What time it is where videos land, and when the newest version of any landed; 1970 for never.
select
    now64(3) as now,
    now64(3) - toIntervalSecond({settled_seconds:UInt32}) as settled_until,
    max(landed_at) as newest_landing_at
from raw.videos
