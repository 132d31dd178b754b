-- Another Postgres: drops the lists that repeat an entity, whose versions may have gone back.
delete from raw.viewer_facts
where has({lists:Array(String)}, list) -- noqa: PRS, LT02
