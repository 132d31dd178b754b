-- What `./nova import` has done, so that a killed import goes on where it was, a repeated one
-- changes nothing, and rows it could not read can be looked up afterwards.
create table app.import_clocks (
    source text not null,
    is_shifted boolean not null,
    shift_seconds bigint not null,
    newest_at timestamptz not null,
    created_at timestamptz not null default now(),

    constraint import_clocks_pkey primary key (source),
    constraint unshifted_clock_adds_nothing check (is_shifted or shift_seconds = 0)
);

comment on table app.import_clocks is
'One row per data set ever imported: how far its times are moved, for every later import of it.';
comment on column app.import_clocks.source is 'Data set: kuairand, tiktok, hackernews or sample.';
comment on column app.import_clocks.is_shifted is
'Whether its newest row was moved to the first import.';
comment on column app.import_clocks.shift_seconds is
'Added to every time (seconds). Whole seconds, so that what shares a second goes on sharing one.';
comment on column app.import_clocks.newest_at is
'Newest row of the data set, by its own clock (UTC).';
comment on column app.import_clocks.created_at is 'First import (UTC).';

create table app.import_runs (
    id bigint not null generated always as identity,
    source text not null,
    files jsonb not null,
    options jsonb not null,
    covers_until timestamptz not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,

    constraint import_runs_pkey primary key (id),
    constraint import_run_has_a_clock foreign key (source) references app.import_clocks (source)
);

comment on table app.import_runs is
'One row per import; an unfinished one is resumed by the same import.';
comment on column app.import_runs.id is 'Import.';
comment on column app.import_runs.source is 'Data set.';
comment on column app.import_runs.files is
'SHA-256 of each file by name: only the same files resume an import.';
comment on column app.import_runs.options is 'What else was asked for, as an object.';
comment on column app.import_runs.covers_until is
'Newest time this import could bring in, by the clock of the data set (UTC).';
comment on column app.import_runs.started_at is 'When it began (UTC).';
comment on column app.import_runs.finished_at is
'When its last chunk was stored (UTC); null before.';

create table app.import_chunks (
    run_id bigint not null,
    file text not null,
    from_line bigint not null,
    to_line bigint not null,
    held_out_rows bigint not null default 0,
    finished_at timestamptz not null default clock_timestamp(),

    constraint import_chunks_pkey primary key (run_id, file, from_line),
    constraint import_chunk_belongs_to_a_run foreign key (run_id) references app.import_runs (id),
    constraint import_chunk_is_not_empty check (to_line >= from_line)
);

comment on table app.import_chunks is
'One row per part of a file whose rows are stored; written by the transaction that stores them.';
comment on column app.import_chunks.run_id is 'Import.';
comment on column app.import_chunks.file is 'File name without its folder.';
comment on column app.import_chunks.from_line is 'First line (1 is the first line of the file).';
comment on column app.import_chunks.to_line is 'Last line, included.';
comment on column app.import_chunks.held_out_rows is
'Rows later than --until, kept back for evaluation (count).';
comment on column app.import_chunks.finished_at is 'When it was stored (UTC).';

create table app.import_counts (
    run_id bigint not null,
    file text not null,
    from_line bigint not null,
    entity text not null,
    read_rows bigint not null,
    inserted_rows bigint not null,

    constraint import_counts_pkey primary key (run_id, file, from_line, entity),
    constraint import_count_belongs_to_a_chunk foreign key (run_id, file, from_line)
    references app.import_chunks (run_id, file, from_line),
    constraint no_more_is_inserted_than_read check (inserted_rows between 0 and read_rows)
);

comment on table app.import_counts is 'One row per chunk and entity found in it.';
comment on column app.import_counts.run_id is 'Import.';
comment on column app.import_counts.file is 'File name without its folder.';
comment on column app.import_counts.from_line is 'First line of the chunk.';
comment on column app.import_counts.entity is
'What was found: users, videos, plays, likes, and so on.';
comment on column app.import_counts.read_rows is 'How often the chunk speaks of one (count).';
comment on column app.import_counts.inserted_rows is
'How many of those were new (count); the rest are duplicates.';

create table app.import_malformed_lines (
    run_id bigint not null,
    file text not null,
    line_number bigint not null,
    column_name text not null,
    reason text not null,

    constraint import_malformed_lines_pkey primary key (run_id, file, line_number),
    constraint malformed_line_belongs_to_a_run foreign key (run_id) references app.import_runs (id)
);

comment on table app.import_malformed_lines is 'One row per line that an import skipped.';
comment on column app.import_malformed_lines.run_id is 'Import.';
comment on column app.import_malformed_lines.file is 'File name without its folder.';
comment on column app.import_malformed_lines.line_number is
'Line (1 is the first line of the file).';
comment on column app.import_malformed_lines.column_name is
'First column with a bad value; empty when it is the whole line.';
comment on column app.import_malformed_lines.reason is 'What is wrong, in words.';
