-- A job's deaths: how often the process that ran it vanished without a clean end since the job last got further; and the optimiser
-- step that it last went on from, null before its first.
alter table job add column deaths integer not null default 0;
alter table job add column went_on_from integer;
