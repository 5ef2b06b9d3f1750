-- The process that holds a running job, as store/src/process.rs names it: another one on the same machine can tell that it is
-- gone, and need not wait for its lease. Null where the system gives processes no name.
alter table job add column process text;
